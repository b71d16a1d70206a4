"""Choosing a language: one form that is on every page and leads back to it."""

import re

from flask import Flask, current_app, redirect, request
from flask_login import current_user
from werkzeug import Response

from webapp.database import unit_of_work
from webapp.i18n.locale import COOKIE, match_tag, tags
from webapp.layout.back import safe_back
from webapp.people import portal_session, seen_as
from webapp.people.profile import change_locale

A_YEAR = 31_536_000


def register(app: Flask) -> None:
    """Add POST /language."""
    app.add_url_rule("/language", "language", choose_language, methods=["POST"])


def choose_language() -> Response:
    """The language is kept in a cookie and, for a signed-in person, in their settings. Others are not taken."""
    tag = match_tag(request.form.get("locale"))
    back = safe_back(request.form.get("back"))
    if tag is None:
        return redirect(back, 303)
    _keep_setting(tag, back)
    response = redirect(_in_language(back, tag), 303)
    secure = bool(current_app.config["SESSION_COOKIE_SECURE"])
    response.set_cookie(COOKIE, tag, max_age=A_YEAR, samesite="Lax", httponly=True, secure=secure)
    return response


def _keep_setting(tag: str, back: str) -> None:
    if hasattr(current_app, "login_manager") and current_user.is_authenticated:
        with unit_of_work() as session:
            if not current_user.is_visitor and current_user.seeing and not f"{back}/".startswith("/admin/"):
                seen_as.change_locale(session, session_id=current_user.current_session_id, locale=tag)
            elif current_user.is_visitor:
                portal_session.change_locale(session, portal_session_id=current_user.current_session_id, locale=tag)
            else:
                change_locale(session, user_id=current_user.id, locale=tag)


def _in_language(path: str, tag: str) -> str:
    """A path whose first part is a locale gets the new one: /de/pricing becomes /ar/pricing."""
    prefix = re.match(r"/([A-Za-z-]+)(?=[/?]|$)", path)
    if prefix and prefix[1] in tags():
        return f"/{tag}{path[prefix.end() :]}"
    return path
