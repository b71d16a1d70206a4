"""Which currency prices are shown in."""

from webapp.config import Settings


def choose_currency(wanted: str | None, settings: Settings) -> str:
    """The configured currency that the reader asked for, whatever its case, or the first one."""
    asked = (wanted or "").strip().upper()
    return asked if asked in settings.currencies else settings.currencies[0]
