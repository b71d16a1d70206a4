"""Errors."""

from flask import Flask


def register(app: Flask) -> None:
    """Add this part to the application."""
