"""Our icons and the picture that messengers show: drawn once, kept in static/img."""
