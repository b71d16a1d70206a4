"""The pages on which people come in and see to their own affairs."""

from flask import Blueprint

people = Blueprint("people", __name__)

from webapp.people.views import confirm_address, log_in, password_reset, portal, security, settings, sign_up  # noqa: E402

__all__ = ["confirm_address", "log_in", "password_reset", "people", "portal", "security", "settings", "sign_up"]
