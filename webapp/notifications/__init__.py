"""Notifications: what is told to whom, by mail for now."""

from flask import Flask


def register(app: Flask) -> None:
    """Nothing to add yet: mails are sent by jobs, and no page shows a notification."""
