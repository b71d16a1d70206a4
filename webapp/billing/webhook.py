"""POST /stripe/webhook: believe nobody, keep what is genuine, answer at once."""

import json
import re
import time
from typing import Any

import stripe
import structlog
from flask import Blueprint, Response, current_app, request

from webapp.billing.events import store_event
from webapp.config import Settings
from webapp.database import unit_of_work
from webapp.extensions import csrf, limiter

log = structlog.get_logger()

TOLERANCE_SECONDS = 300
_EVENT_ID = re.compile(r"evt_[A-Za-z0-9_]{1,200}")
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_LATEST = 2**33  # seconds since 1970: a year that Python's datetime knows

blueprint = Blueprint("webhook", __name__)
csrf.exempt(blueprint)  # what comes here is signed
limiter.exempt(blueprint)


class Forged(Exception):
    """The request is not one that Stripe sent us just now."""


@blueprint.post("/stripe/webhook")
def receive() -> Response:
    """200 when the event is stored (or was before), 400 for anything that is not genuine."""
    settings: Settings = current_app.config["SETTINGS"]
    try:
        payload = read_event(
            request.get_data(),
            signature=request.headers.get("Stripe-Signature", ""),
            secret=settings.stripe_webhook_secret,
            livemode=current_app.config["STRIPE_MODE"] == "live",
        )
    except Forged as reason:
        log.warning("stripe_event_refused", reason=str(reason))
        return Response(f"{reason}\n", status=400, mimetype="text/plain")
    with unit_of_work() as session:
        store_event(session, payload=payload)
    return Response("stored\n", mimetype="text/plain")


def read_event(body: bytes, *, signature: str, secret: str, livemode: bool) -> dict[str, Any]:
    """The event in `body`, if it is signed with `secret` by now and of this mode. Raises Forged.

    The SDK's check alone would let through timestamps in the future, and raise other errors than its own for
    bytes that are not UTF-8 or JSON that is not an object.
    """
    try:
        stripe.Webhook.construct_event(body, signature, secret, tolerance=TOLERANCE_SECONDS)
        _refuse_future(signature)
        payload = json.loads(body)
        _refuse_unstorable(payload)
    except stripe.SignatureVerificationError:
        raise Forged("the signature is missing, wrong or too old") from None
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError):
        raise Forged("this is not an event") from None
    _refuse_malformed(payload)
    if payload["livemode"] is not livemode:
        raise Forged("the event is of another mode (livemode)")
    return dict(payload)


def _refuse_future(signature: str) -> None:
    timestamps = [int(part[2:]) for part in signature.split(",") if part.startswith("t=")]
    if not timestamps or max(timestamps) > time.time() + TOLERANCE_SECONDS:
        raise Forged("the signature is of the future")


def _refuse_unstorable(payload: Any) -> None:
    """Raises ValueError for what JSON knows and jsonb does not: NaN, halves of characters, the character 0."""
    written = json.dumps(payload, ensure_ascii=False, allow_nan=False)
    written.encode()
    if _NUL.search(written):
        raise ValueError("a string holds the character 0")


def _refuse_malformed(payload: Any) -> None:
    fine = (
        isinstance(payload, dict)
        and isinstance(payload.get("id"), str)
        and _EVENT_ID.fullmatch(payload["id"]) is not None
        and isinstance(payload.get("type"), str)
        and isinstance(payload.get("livemode"), bool)
        and type(payload.get("created")) is int
        and 0 <= payload["created"] < _LATEST
        and isinstance(payload.get("api_version"), str | None)
        and isinstance(payload.get("data"), dict)
        and isinstance(payload["data"].get("object"), dict)
    )
    if not fine:
        raise Forged("this is not an event")
