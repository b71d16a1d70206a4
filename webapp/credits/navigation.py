"""The balance in the navigation of every page."""

from flask import Flask, g
from flask_login import current_user

from webapp import ledger
from webapp.credits.live import Live, show_balance
from webapp.extensions import db


def register(app: Flask) -> None:
    """Let the layout call `nav_balance()`."""
    app.jinja_env.globals["nav_balance"] = nav_balance


def nav_balance() -> Live | None:
    """The signed-in person's balance; None where the person has no account. Two reads."""
    try:
        return show_balance(g.get("reader") or db.session(), account_id=current_user.account_id)
    except ledger.AccountNotFound:
        return None
