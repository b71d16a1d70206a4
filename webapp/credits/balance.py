"""GET /credits/balance: the live fragment that every open tab asks for about once a second."""

import json

from flask import Response, current_app, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import ngettext
from flask_login import current_user

from webapp.credits.live import Live
from webapp.credits.navigation import nav_balance
from webapp.i18n.formats import credits_number


def show_fragment() -> ResponseReturnValue:
    """The balance as the navigation shows it; 204 when `v` is still its version.

    A tick that has a valid ticket and the present version does not come here: see webapp/credits/tick.py.
    """
    version = request.args.get("v")
    if not current_user.is_authenticated:
        return _log_in_first()
    live = nav_balance()
    if live is None:
        return _empty()
    if version == live.balance.version:
        return _empty()
    response = make_response(render_template("credits/_balance.html", live=live))
    response.cache_control.no_store = True
    if version:
        response.headers["HX-Trigger"] = json.dumps({"balance-changed": {"text": _in_words(live)}})
    return response


def _empty() -> Response:
    response = Response(status=204)
    response.cache_control.no_store = True
    return response


def _log_in_first() -> ResponseReturnValue:
    """A tab that is open in the background is not thrown out: it stops asking. Others get the log-in page."""
    if request.headers.get("HX-Request") == "true":
        return Response(status=401)
    answer: ResponseReturnValue = current_app.login_manager.unauthorized()  # type: ignore[attr-defined]
    return answer


def _in_words(live: Live) -> str:
    """What the polite live region says."""
    available = live.balance.available
    words: str = ngettext(
        "Balance: %(number)s credit", "Balance: %(number)s credits", available, number=credits_number(available)
    )
    return words
