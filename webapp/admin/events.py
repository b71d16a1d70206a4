"""/admin/events: what Stripe told, what became of it, and handling it again."""

import json
import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, abort, flash, redirect, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from webapp.admin import audit
from webapp.admin.listing import Column, Filter, Listing, Rows, Sort, list_csv, list_page
from webapp.admin.money_words import EVENT_STATES, options, said
from webapp.billing.events import EVENT_TYPES, EventNotFound, replay_event
from webapp.billing.events_about import OBJECT_ID, is_about
from webapp.billing.stripe_api import PaymentsUnavailable
from webapp.billing.stripe_event import StripeEvent
from webapp.database import sqlstate, unit_of_work
from webapp.people.roles import require_role

pages = Blueprint("admin_events", __name__)

LOCK_NOT_AVAILABLE = "55P03"
LONGEST_PAYLOAD = 200_000
# What opens something by itself is nobody's to read here, whatever it is called.
_SECRET_NAME = re.compile(r"secret|password|(^|_)token$", re.IGNORECASE)
_SECRET = re.compile(r"\b(?:[sr]k|whsec|ek)_[A-Za-z0-9_]{8,}|_secret_[A-Za-z0-9]{8,}")


def _selection(values: Mapping[str, str]) -> Rows:
    statement: Rows = select(
        StripeEvent.id,
        StripeEvent.received_at,
        StripeEvent.type,
        OBJECT_ID.label("about"),
        StripeEvent.state,
        StripeEvent.reason,
    )
    if values.get("state") in EVENT_STATES:
        statement = statement.where(StripeEvent.state == values["state"])
    if "type" in values:
        statement = statement.where(StripeEvent.type == values["type"])
    if "about" in values:
        statement = statement.where(
            StripeEvent.id == values["about"] if values["about"].startswith("evt_") else is_about([values["about"]])
        )
    return statement


LISTING = Listing(
    key="events",
    title=_l("Stripe events"),
    path="/admin/events",
    id=StripeEvent.id,
    selection=_selection,
    columns=(
        Column(key="id", label=_l("Event"), show=lambda row: (f"/admin/events/{row.id}", row.id), kind="link"),
        Column(key="at", label=_l("Received"), show=lambda row: row.received_at, kind="moment"),
        Column(key="type", label=_l("Type"), show=lambda row: row.type, kind="code"),
        Column(key="about", label=_l("About"), show=lambda row: row.about, kind="code"),
        Column(
            key="state", label=_l("State"), show=lambda row: said(EVENT_STATES, row.state), csv=lambda row: row.state
        ),
        Column(key="reason", label=_l("Why"), show=lambda row: row.reason),
    ),
    sorts=(
        Sort(key="newest", label=_l("Newest first"), by=StripeEvent.received_at),
        Sort(key="oldest", label=_l("Oldest first"), by=StripeEvent.received_at, ascending=True),
    ),
    filters=(
        Filter(key="state", label=_l("State"), options=lambda: options(EVENT_STATES)),
        Filter(key="type", label=_l("Type"), options=lambda: [(one, one) for one in EVENT_TYPES]),
        Filter(key="about", label=_l("Any id of Stripe’s"), placeholder="pi_… cs_… in_…"),
    ),
    empty=_l("Stripe has told nothing yet"),
)


@pages.get(LISTING.path)
@require_role("finance")
def events() -> ResponseReturnValue:
    """The newest events, or those that are asked for."""
    return list_page(LISTING)


@pages.get(f"{LISTING.path}.csv")
@require_role("finance")
def events_csv() -> Response:
    """The same as CSV."""
    return list_csv(LISTING)


@pages.get(f"{LISTING.path}/<stripe:event_id>")
@require_role("finance")
def event(event_id: str) -> ResponseReturnValue:
    """One event: what it said, and what became of it."""
    with unit_of_work() as session:
        found = session.get(StripeEvent, event_id)
        if found is None:
            abort(404)
        return render_template(
            "admin/money/event.html",
            event=found,
            state=said(EVENT_STATES, found.state),
            about=found.thing.get("id"),
            payload=readable(found.payload),
        )


@pages.post(f"{LISTING.path}/<stripe:event_id>/replay")
@require_role("finance")
def replay(event_id: str) -> ResponseReturnValue:
    """It is handled again, parked or not, by looking at Stripe; that is on record."""
    try:
        with unit_of_work() as session:
            found = session.get(StripeEvent, event_id)
            if found is None:
                abort(404)
            before = {"state": found.state, "reason": found.reason}
            after = replay_event(session, event_id=event_id)
            audit.record(
                session,
                by=audit.doer(),
                act="event.replay",
                subject=f"event:{event_id}",
                before=before,
                after={"state": after.state, "reason": after.reason},
            )
            parked = after.state == "parked"
    except (PaymentsUnavailable, EventNotFound):
        flash(_("Stripe did not answer. Nothing has changed."), "error")
    except OperationalError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
        flash(_("A worker is handling it right now."))
    else:
        flash(_("It was handled again, and still needs a person.") if parked else _("It was handled again."))
    return redirect(f"{LISTING.path}/{event_id}", 303)


def readable(payload: Mapping[str, Any]) -> str:
    """The payload with line breaks, and without what opens something by itself."""
    text = json.dumps(_without_secrets(payload), indent=2, ensure_ascii=False)
    return text if len(text) <= LONGEST_PAYLOAD else text[:LONGEST_PAYLOAD] + "\n…"


def _without_secrets(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _without_secrets(one, str(key)) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_secrets(one, name) for one in value]
    if isinstance(value, str) and (_SECRET_NAME.search(name) or _SECRET.search(value)):
        return "•••"
    return value
