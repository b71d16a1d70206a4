"""No more mails about credits: by one click from the mail itself, without logging in (RFC 8058)."""

from flask import Blueprint, abort, current_app, render_template
from flask.typing import ResponseReturnValue
from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from webapp.config import Settings
from webapp.database import unit_of_work
from webapp.extensions import csrf
from webapp.people.user import User

blueprint = Blueprint("credit_mails", __name__)
csrf.exempt(blueprint)  # the address itself is signed; a mail program has no form of ours


def link(settings: Settings, *, user: User) -> str:
    """The address that turns mails about credits off for this person, for as long as the secret key stays."""
    return f"{settings.base_url}/no-credit-mails/{_signer(settings).dumps(user.external_id)}"


def stop(session: Session, *, external_id: str) -> None:
    """That person gets no mails about credits any more, if there is such a person."""
    session.execute(update(User).where(User.external_id == external_id).values(credit_mails=False))


@blueprint.get("/no-credit-mails/<token>")
def ask(token: str) -> ResponseReturnValue:
    """A page with the one button: mail scanners follow links, and must not unsubscribe anybody."""
    external_id = _external_id(token)
    if external_id is None:
        abort(404)
    with unit_of_work() as session:
        wanted = session.scalars(select(User.credit_mails).where(User.external_id == external_id)).first()
    return render_template("people/no_credit_mails.html", wanted=wanted)


@blueprint.post("/no-credit-mails/<token>")
def stop_mails(token: str) -> ResponseReturnValue:
    """Done, however often it is asked."""
    external_id = _external_id(token)
    if external_id is None:
        abort(400)
    with unit_of_work() as session:
        stop(session, external_id=external_id)
    return render_template("people/no_credit_mails.html", wanted=False)


def _external_id(token: str) -> str | None:
    """Whom the token was made for; None when we did not make it."""
    try:
        return str(_signer(current_app.config["SETTINGS"]).loads(token))
    except BadSignature:
        return None


def _signer(settings: Settings) -> URLSafeSerializer:
    return URLSafeSerializer(settings.secret_key, salt="credit-mails")
