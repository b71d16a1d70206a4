"""The documents; `python -m docs.screenshots` makes their pictures."""
