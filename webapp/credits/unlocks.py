"""What can be opened once with credits, and what is open: a section of /credits, and POST /credits/unlocks."""

import secrets
from dataclasses import dataclass

from flask import abort, flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.catalog.unlock import Unlock, UnlockNotFound, list_unlocks
from webapp.catalog.unlocking import Opened, PriceChanged, open_unlocks, unlock
from webapp.database import unit_of_work
from webapp.i18n.content import translate
from webapp.people.suspension import not_suspended

_BACK = "/credits#h-unlocks"


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What is not open yet: what is left after opening it, or what is missing for that."""

    key: str
    name: str
    description: str
    credits: int
    duration_days: int | None
    left: int
    missing: int


@dataclass(frozen=True, kw_only=True)
class OpenRow:
    """What is open."""

    name: str
    opened: Opened


@dataclass(frozen=True, kw_only=True)
class Unlocks:
    """What the section shows."""

    open: list[OpenRow]
    offers: list[Offer]


def read_unlocks(session: Session, *, account_id: int) -> Unlocks:
    """What the account has open and what is on offer beside that; three statements at the most."""
    opened = open_unlocks(session, account_id=account_id)
    have = {one.unlock for one in opened}
    offered = [one for one in list_unlocks(session) if one.key not in have]
    available = ledger.spendable(session, account_id=account_id) if offered else 0
    return Unlocks(
        open=[OpenRow(name=translate("unlock", one.unlock, one.name), opened=one) for one in opened],
        offers=[_offer(one, available) for one in offered],
    )


def _offer(one: Unlock, available: int) -> Offer:
    left = available - one.credits
    return Offer(
        key=one.key,
        name=translate("unlock", one.key, one.name),
        description=translate("unlock description", one.key, one.description),
        credits=one.credits,
        duration_days=one.duration_days,
        left=max(left, 0),
        missing=max(-left, 0),
    )


@login_required
def open_unlock() -> ResponseReturnValue:
    """It is open, paid once however often the form is sent; then 303 to the section that says so.

    Where the credits don't suffice, it costs something else by now, or the account is suspended, nothing was written
    and the page says so. 404 for what is not on offer.
    """
    key, told = request.form.get("unlock", ""), request.form.get("credits", "")
    if not (told.isascii() and told.isdecimal() and len(told) <= 16):
        abort(400)
    try:
        with unit_of_work() as session:
            unlocked = unlock(
                session,
                account_id=current_user.account_id,
                key=key,
                idempotency_key=f"unlock:{secrets.token_urlsafe(16)}",  # what is open already is not bought again
                actor=current_user.actor,
                credits=int(told),
                only_if=not_suspended(current_user.account_id),
            )
            name = translate("unlock", key, unlocked.opened.name)
    except UnlockNotFound:
        abort(404)
    except PriceChanged:
        flash(_("It costs something else by now. Nothing was spent; look at it once more."), "bad")
    except ledger.ConditionFailed:
        flash(_("Your account is suspended. Nothing was spent."), "bad")
    except ledger.InsufficientCredits:
        flash(_("You don’t have the credits for that. Nothing was spent."), "bad")
    else:
        flash(_("“%(name)s” is unlocked.", name=name))
    return redirect(_BACK, 303)
