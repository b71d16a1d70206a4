"""Light or dark: the system's choice, until a person saves one."""

from flask import Flask, current_app, redirect, request
from werkzeug import Response

from webapp.layout.back import safe_back

COOKIE = "theme"
THEMES = ("light", "dark")
A_YEAR = 31_536_000


def register(app: Flask) -> None:
    """Add POST /theme."""
    app.add_url_rule("/theme", "theme", save_theme, methods=["POST"])


def current_theme() -> str | None:
    """The theme that was saved; None follows the system."""
    theme = request.cookies.get(COOKIE)
    return theme if theme in THEMES else None


def save_theme() -> Response:
    """The chosen theme is kept in a cookie; anything else than light or dark follows the system again."""
    response = redirect(safe_back(request.form.get("back")), 303)
    theme = request.form.get("theme")
    if theme in THEMES:
        secure = bool(current_app.config["SESSION_COOKIE_SECURE"])
        response.set_cookie(COOKIE, theme, max_age=A_YEAR, samesite="Lax", httponly=True, secure=secure)
    else:
        response.delete_cookie(COOKIE)
    return response
