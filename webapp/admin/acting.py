"""From a form to an act: what it would do, "are you sure" with the password, and the answer. One page for all acts."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from flask import current_app, flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from limits import parse_many
from sqlalchemy import select, update

from webapp.admin import acts, audit, figure_words
from webapp.admin.acts import Act, Done, Limits, Refused
from webapp.database import unit_of_work
from webapp.extensions import limiter
from webapp.people.passwords import password_matches
from webapp.people.sessions import SessionRow

# For so long after a password was typed, nothing dangerous asks for it again.
PASSWORD_HOLDS_FOR = timedelta(minutes=15)
GUESSES = parse_many("5/minute;20/hour")
_OWN_FIELDS = ("csrf_token", "step", "submission", "confirm_password")


class PasswordRefused(Exception):
    """It is not the person's password (422), or they have tried too often (429); the message says so."""

    def __init__(self, message: str, *, status: int) -> None:
        self.message = message
        self.status = status
        super().__init__(message)


def limits() -> Limits:
    """What the environment says."""
    settings = current_app.config["SETTINGS"]
    return Limits(
        approval_credits=settings.approval_credits,
        approval_minor=settings.approval_minor,
        support_grant_limit=settings.support_grant_limit,
    )


def handle(
    act: Act,
    *,
    arguments: Mapping[str, Any],
    reason: str,
    back: str,
    refuse: Callable[[Refused], ResponseReturnValue],
) -> ResponseReturnValue:
    """Answer a valid form of an act: first the page that shows before and after, then, confirmed, what came of it.

    `arguments` and `reason` are what the form came to; its fields come again with the confirmation, and are checked
    again by the caller. `back` is where one goes afterwards; `refuse` makes the form's page (422) with a message.
    """
    by, bounds = audit.doer(), limits()
    try:
        if request.form.get("step") != "confirm":
            done = acts.rehearse(act, by=by, limits=bounds, reason=reason, arguments=arguments)
            return _ask(act, done, reason=reason, back=back, submission=uuid4())
        submission = _submission()
        try:
            require_password()
        except PasswordRefused as wrong:
            done = acts.rehearse(act, by=by, limits=bounds, reason=reason, arguments=arguments)
            return _ask(act, done, reason=reason, back=back, submission=submission, wrong=wrong)
        outcome = acts.perform(act, by=by, limits=bounds, reason=reason, arguments=arguments, submission=submission)
    except Refused as refusal:
        return refuse(refusal)
    if outcome.approval_id is not None:
        flash(_("It waits for a second person. Nothing has happened yet."))
    else:
        flash(str(act.done))
    return redirect(back, 303)


def _submission() -> UUID:
    try:
        return UUID(request.form.get("submission", ""))
    except ValueError:
        return uuid4()  # no page of ours made this form: its effect counts as one of its own


def _ask(
    act: Act, done: Done, *, reason: str, back: str, submission: UUID, wrong: PasswordRefused | None = None
) -> ResponseReturnValue:
    page = render_template(
        "admin/confirm.html",
        act=act,
        done=done,
        figures=figure_words.beside(done.before, done.after),
        needs_approval=done.needs_approval,
        reason=reason,
        back=back,
        submission=submission,
        fields=[(name, value) for name, value in request.form.items(multi=True) if name not in _OWN_FIELDS],
        ask_password=not password_is_fresh(),
        wrong_password=str(wrong.message) if wrong else "",
    )
    return page, wrong.status if wrong else 200


def password_is_fresh() -> bool:
    """Whether this browser's person has typed their password in the last quarter of an hour."""
    with unit_of_work() as session:
        typed = session.scalar(select(SessionRow.password_at).where(SessionRow.id == current_user.current_session_id))
    return typed is not None and datetime.now(UTC) - typed < PASSWORD_HOLDS_FOR


def require_password() -> None:
    """The form's `confirm_password` is the person's, or they have typed it lately. Raises PasswordRefused.

    Who holds somebody's cookie and not their password may guess a few times a minute, and soon no more.
    """
    if password_is_fresh():
        return
    for guesses in GUESSES:
        if not limiter.limiter.hit(guesses, "admin password", str(current_user.id)):
            raise PasswordRefused(_("Too many attempts. Wait a while, then try again."), status=429)
    if not password_matches(current_user.password_hash, request.form.get("confirm_password", "")):
        raise PasswordRefused(_("This is not your password."), status=422)
    with unit_of_work() as session:
        session.execute(
            update(SessionRow)
            .where(SessionRow.id == current_user.current_session_id)
            .values(password_at=datetime.now(UTC))
        )
