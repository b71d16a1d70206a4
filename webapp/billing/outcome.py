"""Coming back from Stripe's pay page: what is said of a payment, and how often it is looked at."""

from collections.abc import Callable

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from webapp.billing.stripe_api import PaymentsUnavailable
from webapp.database import unit_of_work

log = structlog.get_logger()

# The page looks every two seconds for two minutes, then leaves it to the buyer to look again.
MOST_POLLS = 60
# Most looks read our own row, which the events change; every fifth asks Stripe.
ASK_STRIPE_EVERY = 5

_OUTCOMES = {
    "fulfilled": "success",
    "pending": "pending",
    "failed": "failed",
    "expired": "expired",
    "parked": "parked",
    "open": "cancelled",
    "new": "cancelled",
}


def ask_stripe(settle: Callable[[Session], object], *, polls: int, **about: int) -> bool:
    """Whether Stripe was asked at this look; if not, events and the checks settle it later. `about` is for the log."""
    if polls % ASK_STRIPE_EVERY:
        return False
    try:
        with unit_of_work() as session:
            settle(session)
    except (PaymentsUnavailable, OperationalError) as error:
        log.warning("return_page_could_not_settle", **about, error=str(error))
        return False
    return True


def outcome_of(state: str, *, asked: bool) -> str:
    """What the page says of that state. Who was not asked about may well have paid: no more than what is known."""
    outcome = _OUTCOMES[state]
    return "pending" if outcome == "cancelled" and not asked else outcome


def next_poll(outcome: str, *, polls: int) -> int | None:
    """The number of the next look; None: don't look again."""
    return polls + 1 if outcome == "pending" and polls < MOST_POLLS else None
