"""From a payment to credits, exactly once, whoever notices it first: an event, the return page, reconciliation."""

from collections.abc import Collection

import structlog
from sqlalchemy.orm import Session

from webapp import clock, ledger
from webapp.billing.payment import Payment, fetch_payment
from webapp.billing.purchase import OPEN_STATES, Purchase, lock_purchase, next_check
from webapp.billing.purchase_reversals import follow_reversals, known_reversals
from webapp.billing.stripe_api import UnknownToStripe, mode

log = structlog.get_logger()


def settle_purchase(session: Session, *, purchase_id: int, look_for: Collection[str] = ()) -> Purchase:
    """The purchase stands as its payment stands at Stripe now.

    Paid or free of charge, and in every point what the snapshot says: the credits are granted, once; what of the
    money was refunded, or lost to a dispute, is revoked in proportion, and an open dispute freezes the rest. Anything
    that differs from the snapshot: parked with the reason, nothing granted. Otherwise it is open, pending, failed or
    expired. Safe to repeat, in any order and at once. One made in another mode (sandbox, test, live) is left alone:
    this Stripe does not know it. `look_for` may name "refunds" and "disputes" to ask for even where the charge shows
    none.

    Stripe is asked before anything is locked; then the purchase is locked, and the account inside the ledger's
    functions. Raises PaymentsUnavailable; nothing was written then.
    """
    purchase = session.get_one(Purchase, purchase_id, populate_existing=True)
    if purchase.mode != mode():
        return purchase
    if purchase.stripe_session_id is None:
        return _give_up_when_old(session, purchase)
    seen = purchase.version
    look_for = {*look_for, *known_reversals(session, purchase_id=purchase_id)}
    payment = _fetch(purchase.stripe_session_id, look_for)
    purchase = lock_purchase(session, purchase_id=purchase_id)
    if purchase.version != seen and purchase.stripe_session_id is not None:
        # Somebody settled it in between, perhaps from a newer answer than ours.
        payment = _fetch(purchase.stripe_session_id, look_for)
    before = _standing(purchase)
    news = _apply(session, purchase, payment)
    if news or _standing(purchase) != before:
        purchase.version += 1
    return purchase


def differences(purchase: Purchase, payment: Payment, *, livemode: bool) -> list[str]:
    """In which points Stripe's word differs from the snapshot: none, or nothing may be granted."""
    expected: list[tuple[str, object, object]] = [
        ("session", purchase.stripe_session_id, payment.session_id),
        ("mode", "payment", payment.mode),
        ("livemode", livemode, payment.livemode),
        ("amount", purchase.price_minor, payment.subtotal_minor),
        ("currency", purchase.currency, payment.currency),
        ("client reference", purchase.external_id, payment.client_reference),
        ("purchase", str(purchase.id), payment.purchase_reference),
    ]
    expected += _sums(payment)
    if payment.settled and purchase.paid_minor is not None:
        expected.append(("amount paid", purchase.paid_minor, payment.total_minor))
    return [f"{name}: {found!r} instead of {wanted!r}" for name, wanted, found in expected if wanted != found]


def _sums(payment: Payment) -> list[tuple[str, object, object]]:
    """What Stripe takes off and adds has to come to its own total, and that to the money.

    A tax lies on top of the price or within it, as Stripe is configured; where none was asked for there is none.
    """
    subtotal = payment.subtotal_minor or 0
    discount = min(max(payment.discount_minor, 0), subtotal)
    tax = max(payment.tax_minor, 0) if payment.taxed else 0
    left = subtotal - discount
    sums: list[tuple[str, object, object]] = [
        ("discount", discount, payment.discount_minor),
        ("tax", tax, payment.tax_minor),
        ("amount in total", left + tax if payment.total_minor != left else left, payment.total_minor),
    ]
    if payment.paid:
        sums.append(("amount received", payment.total_minor, payment.received_minor))
    if payment.free:
        sums += [("amount to pay", 0, payment.total_minor), ("payment", None, payment.payment_intent_id)]
    return sums


def _standing(purchase: Purchase) -> tuple[object, ...]:
    return (purchase.state, purchase.reason)


def _fetch(session_id: str, look_for: Collection[str]) -> Payment | None:
    try:
        return fetch_payment(session_id, look_for=look_for)
    except UnknownToStripe:
        return None


def _apply(session: Session, purchase: Purchase, payment: Payment | None) -> bool:
    """Returns whether there was news of refunds or disputes."""
    if payment is None:
        _park(purchase, ["session: Stripe does not know it"])
        return False
    problems = differences(purchase, payment, livemode=purchase.mode == "live")
    if problems:
        _park(purchase, problems)
    elif payment.settled:
        purchase.reason = None
        if purchase.state != "fulfilled":
            _fulfil(session, purchase, payment)
        return follow_reversals(session, purchase=purchase, reversals=payment.reversals)
    elif purchase.state != "fulfilled":
        _wait(purchase, payment)
    return False


def _fulfil(session: Session, purchase: Purchase, payment: Payment) -> None:
    account = ledger.get_account(session, account_id=purchase.account_id)
    paid_at = ledger.now(session)
    written = ledger.grant(
        session,
        account_id=purchase.account_id,
        amount=purchase.credits,
        source="purchase",
        source_key=purchase.source_key,
        actor="stripe" if purchase.user_id is None else f"user:{purchase.external_id}",
        expires_at=purchase.validity.ends_at(paid_at, time_zone=account.time_zone),
        cost_minor=payment.total_minor - payment.tax_minor,
        cost_currency=purchase.currency,
        description=purchase.package_name,
        reference=purchase.source_key,
        metadata={"purchase": purchase.id, "package": purchase.package},
    )
    purchase.state = "fulfilled"
    purchase.reason = None
    purchase.grant_id = written.entry.seq
    purchase.paid_at = paid_at
    purchase.paid_minor, purchase.tax_minor = payment.total_minor, payment.tax_minor
    purchase.check_at = None
    purchase.stripe_payment_intent_id = payment.payment_intent_id
    purchase.receipt_url = payment.receipt_url
    log.info("purchase_fulfilled", purchase=purchase.id, account=purchase.account_id, credits=purchase.credits)


def _wait(purchase: Purchase, payment: Payment) -> None:
    """No money yet: what the buyer may still expect."""
    if payment.status == "expired":
        purchase.state = "expired"
    elif payment.failed:
        purchase.state = "failed"
    elif payment.status == "complete":
        purchase.state = "pending"
    else:
        purchase.state = "open"
    purchase.reason = None
    if purchase.state not in OPEN_STATES:
        purchase.check_at = None
    elif purchase.check_at is None:
        purchase.check_at = next_check(now=clock.now(), checks=purchase.checks)


def _park(purchase: Purchase, problems: list[str]) -> None:
    """Set it aside for a person. What was granted before stays granted, but says why it should not be, too."""
    log.error("purchase_differs_from_its_payment", purchase=purchase.id, state=purchase.state, problems=problems)
    purchase.reason = "; ".join(problems)
    if purchase.state != "fulfilled":
        purchase.state = "parked"
        purchase.check_at = None


def _give_up_when_old(session: Session, purchase: Purchase) -> Purchase:
    """Stripe never heard of it and nobody retries after a day: a session would not live longer either."""
    purchase = lock_purchase(session, purchase_id=purchase.id)
    if purchase.state == "new" and (clock.now() - purchase.created_at).days >= 1:
        purchase.state = "expired"
        purchase.check_at = None
        purchase.version += 1
    return purchase
