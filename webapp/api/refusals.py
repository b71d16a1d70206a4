"""What the ledger refuses, as problems."""

import math

from flask import current_app
from flask_babel import gettext as _
from flask_babel import ngettext

from webapp import clock, ledger
from webapp.api.problems import Problem, invalid
from webapp.billing.limit_words import limit_words
from webapp.catalog.metering import LimitReached
from webapp.catalog.windows import window_at
from webapp.config import Settings
from webapp.people.suspension import AccountSuspended


def problem_of_refusal(refusal: ledger.LedgerRefusal) -> Problem:
    """The problem that tells the caller, in the caller's language."""
    match refusal:
        case ledger.InsufficientCredits():
            return _insufficient(required=refusal.required, available=refusal.available)
        case ledger.InvalidRequest():
            field = refusal.field.removeprefix("p_")
            return invalid(_("“%(field)s” is not valid: %(reason)s.", field=field, reason=str(refusal)), field=field)
        case ledger.AccountNotFound():
            return account_not_found()
        case AccountSuspended():
            detail = _("This account is suspended, so nothing can be spent from it at the moment.")
            return Problem(403, "account_suspended", detail, reason=refusal.reason)
        case LimitReached():
            return _limit_reached(refusal)
        case ledger.EntryNotFound():
            return entry_not_found()
        case ledger.IdempotencyKeyReused():
            return key_reused()
        case ledger.SourceKeyConflict():
            detail = _("This source key already names a grant with other content.")
            return Problem(409, "source_key_conflict", detail)
        case ledger.ExceedsSpend():
            detail = _("Only %(left)s credits of this spend are left to refund.", left=refusal.left)
            return Problem(422, "exceeds_spend", detail, left=refusal.left)
        case ledger.HoldNotFound():
            return hold_not_found()
        case ledger.HoldClosed():
            return Problem(409, "hold_closed", _hold_ended(refusal.state), state=refusal.state)
        case ledger.ExceedsHold():
            detail = _("Only %(held)s credits are held. Send allow_excess to charge more.", held=refusal.held)
            return Problem(422, "exceeds_hold", detail, held=refusal.held)
    return Problem(422, refusal.code, _("The ledger refused this request."))


def account_not_found() -> Problem:
    return Problem(404, "account_not_found", _("There is no such account."))


def entry_not_found() -> Problem:
    return Problem(404, "entry_not_found", _("There is no such entry."))


def hold_not_found() -> Problem:
    return Problem(404, "hold_not_found", _("There is no such hold."))


def key_reused() -> Problem:
    detail = _("This Idempotency-Key already names another request on this account.")
    return Problem(422, "idempotency_key_reused", detail)


def _hold_ended(state: str) -> str:
    if state == "captured":
        return str(_("This hold has been captured."))
    if state == "voided":
        return str(_("This hold has been voided."))
    return str(_("This hold has lapsed: its time was over."))


def _limit_reached(refusal: LimitReached) -> Problem:
    now = clock.now()
    # Of usage told late the window may be over; then trying again is of use only when the plan allows more.
    turns = refusal.resets_at if refusal.resets_at > now else window_at("hour", now, "UTC").ends_at
    seconds = max(1, math.ceil((turns - now).total_seconds()))
    headers = {"Retry-After": str(seconds)}
    return Problem(429, "limit_reached", limit_words(refusal), headers=headers, **refusal.data)


def _insufficient(*, required: int, available: int) -> Problem:
    settings: Settings = current_app.config["SETTINGS"]
    detail = ngettext(
        "%(required)s credit is needed, and there are %(available)s.",
        "%(required)s credits are needed, and there are %(available)s.",
        required,
        required=required,
        available=available,
    )
    return Problem(
        402,
        "insufficient_credits",
        detail,
        required=required,
        available=available,
        buy_url=f"{settings.base_url}/pricing",
    )
