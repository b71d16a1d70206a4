"""GET /embed/balance: the live balance on a page of its own, for a frame in the product's pages.

No cookie is read or set: the address is signed, expires, and names the account. The page may be framed by the
configured origins alone, and leads nowhere.
"""

from flask import Blueprint, Response, current_app, make_response, render_template, request
from flask.typing import ResponseReturnValue

from webapp import ledger
from webapp.config import Settings
from webapp.credits.live import Live, show_balance
from webapp.database import unit_of_work
from webapp.i18n.locale import use_tag
from webapp.people.balance_frame import Frame, read_frame
from webapp.security import content_security_policy

embed = Blueprint("embed", __name__, url_prefix="/embed")


def show_frame() -> ResponseReturnValue:
    """The page; 410 where the address is none of ours or too old."""
    return _answer("credits/frame.html", gone=410)


def show_frame_balance() -> ResponseReturnValue:
    """What the page asks for about once a second: 204, or the balance anew; 401 ends the asking."""
    return _answer("credits/_frame.html", gone=401)


def _answer(template: str, *, gone: int) -> Response:
    settings: Settings = current_app.config["SETTINGS"]
    token = request.args.get("t", "")
    frame = read_frame(token, secret_key=settings.secret_key)
    live = _read(frame) if frame is not None else None
    if frame is not None and frame.locale:
        use_tag(frame.locale)
    if live is not None and request.args.get("v") == live.balance.version:
        response = Response(status=204)
    else:
        status = 200 if live is not None else gone
        response = make_response(render_template(template, live=live, token=token), status)
    response.headers["Content-Security-Policy"] = content_security_policy(settings, framed_by=settings.embed_origins)
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cache-Control"] = "no-store"
    return response


def _read(frame: Frame) -> Live | None:
    try:
        with unit_of_work() as session:
            return show_balance(session, account_id=frame.account_id)
    except ledger.AccountNotFound:
        return None


embed.add_url_rule("/balance", "balance", show_frame)
embed.add_url_rule("/balance/live", "balance_live", show_frame_balance)
