"""Every event is hostile until Stripe, asked by us, says the same: forged, old or untrue ones give and take nothing.

One table of requests that are not from Stripe, one of genuine ones that lie, one of what differs at Stripe itself;
each for purchases, orders of plans, invoices, refunds and disputes.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import psycopg
import pytest

from tests.billing.plan_shop import PlanShop, start
from tests.billing.shop import SECRET, Buyer, Shop, sign
from tests.billing.test_disputes import bought
from webapp import ledger
from webapp.billing.stripe_event import StripeEvent

Event = dict[str, Any]
_numbers = count(1)


@dataclass(frozen=True, kw_only=True)
class Target:
    """Somebody whom an event wants to give or take credits, and the object that it is about as Stripe has it."""

    buyer: Buyer
    types: tuple[str, ...]
    thing: dict[str, Any]

    def event(self, **lies: Any) -> Event:
        thing = self.thing | lies
        return {
            "id": f"evt_hostile_{next(_numbers)}",
            "object": "event",
            "api_version": None,
            "created": int(time.time()),
            "data": {"object": thing},
            "livemode": False,
            "type": self.types[next(_numbers) % len(self.types)],
        }


@pytest.fixture(scope="module")
def plan_shop(shop: Shop) -> PlanShop:
    return PlanShop(app=shop.app, sandbox_url=shop.sandbox_url)


@pytest.fixture(scope="module")
def targets(plan_shop: PlanShop) -> dict[str, Target]:
    """Nothing of it is paid, nothing went back."""
    checkouts = plan_shop.stripe.v1.checkout.sessions
    buying, ordering, owing, refunded, disputed = [plan_shop.new_buyer() for _ in range(5)]
    purchase = checkouts.retrieve(buying.start().stripe_session_id or "").to_dict(for_json=True)
    order = checkouts.retrieve(start(ordering)).to_dict(for_json=True)
    unpaid = start(owing)
    plan_shop.press(unpaid, "delay")
    customer = plan_shop.member(owing).customer_id
    (invoice,) = plan_shop.stripe.v1.invoices.list(params={"customer": customer}).data
    assert invoice.status == "open"
    paid = [bought(plan_shop, each).stripe_payment_intent_id for each in (refunded, disputed)]
    money = {"amount": 900, "currency": "eur", "metadata": {}}
    return {
        "purchase": Target(
            buyer=buying,
            types=("checkout.session.completed", "checkout.session.async_payment_succeeded"),
            thing=purchase,
        ),
        "plan order": Target(buyer=ordering, types=("checkout.session.completed",), thing=order),
        "invoice": Target(
            buyer=owing,
            types=("invoice.paid", "invoice.payment_succeeded"),
            thing=invoice.to_dict(for_json=True),
        ),
        "refund": Target(
            buyer=refunded,
            types=("refund.created", "charge.refunded", "refund.updated"),
            thing={"id": "re_forged", "object": "refund", "payment_intent": paid[0], "status": "succeeded", **money},
        ),
        "dispute": Target(
            buyer=disputed,
            types=("charge.dispute.created", "charge.dispute.closed"),
            thing={"id": "du_forged", "object": "dispute", "payment_intent": paid[1], "status": "lost", **money},
        ),
    }


TARGETS = ("purchase", "plan order", "invoice", "refund", "dispute")


def standing(shop: Shop, buyer: Buyer) -> tuple[Any, ...]:
    """All that could be given or taken."""
    account_id = buyer.user.account_id

    def read(session: Any) -> tuple[Any, ...]:
        balance = ledger.balance(session, account_id=account_id)
        entries = ledger.entries(session, account_id=account_id, limit=100).entries
        return balance.balance, balance.available, balance.debt, [(entry.kind, entry.amount) for entry in entries]

    return shop.read(read)


# ---------------------------------------------------------------- what is not from Stripe


def _plain(event: Event) -> bytes:
    return json.dumps(event).encode()


def _signed(body: bytes, *, age: int = 0, secret: str = SECRET) -> str:
    return sign(body.decode("utf-8", "surrogateescape"), secret, int(time.time()) - age)


FORGERIES: dict[str, Callable[[Event], tuple[bytes, str]]] = {
    "signed with another secret": lambda event: (_plain(event), _signed(_plain(event), secret="whsec_mine")),
    "not signed": lambda event: (_plain(event), ""),
    "older than 300 s": lambda event: (_plain(event), _signed(_plain(event), age=302)),
    "of the future": lambda event: (_plain(event), _signed(_plain(event), age=-3600)),
    "signed by v0 only": lambda event: (_plain(event), _signed(_plain(event)).replace("v1=", "v0=")),
    "serialised anew": lambda event: (json.dumps(event, separators=(",", ":")).encode(), _signed(_plain(event))),
    "keys in another order": lambda event: (json.dumps(event, sort_keys=True).encode(), _signed(_plain(event))),
    "not UTF-8": lambda event: (_plain(event)[:-1] + b',"x":"\xff"}', _signed(_plain(event)[:-1] + b',"x":"\xff"}')),
    "of the other livemode": lambda event: (
        _plain({**event, "livemode": True}),
        _signed(_plain({**event, "livemode": True})),
    ),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_is_not_from_stripe_is_refused_and_not_even_kept(
    plan_shop: PlanShop, targets: dict[str, Target], target: str, forgery: str
) -> None:
    of = targets[target]
    before = standing(plan_shop, of.buyer)
    event = of.event(payment_status="paid", status="complete" if "session" in of.types[0] else "paid")
    body, signature = FORGERIES[forgery](event)
    answer = plan_shop.deliver_body(body, signature=signature)
    assert (answer.status_code, answer.mimetype) == (400, "text/plain")
    assert plan_shop.read(lambda session: session.get(StripeEvent, event["id"])) is None
    assert standing(plan_shop, of.buyer) == before


# ---------------------------------------------------------------- what is from Stripe, and lies

LIES: dict[str, dict[str, Any]] = {
    "that it is paid": {"payment_status": "paid", "status": "paid", "paid": True, "amount_paid": 1200},
    "another amount": {"amount": 10**9, "amount_total": 1, "amount_received": 1, "amount_refunded": 10**9, "total": 1},
    "another currency": {"currency": "usd", "presentment_details": {"presentment_currency": "usd"}},
    "a customer whom nobody knows": {"customer": "cus_nobody", "client_reference_id": "usr_nobody"},
    "another payment": {"payment_intent": "pi_nobody", "charge": "ch_nobody", "subscription": "sub_nobody"},
    "inflated metadata": {"metadata": {"purchase": "1", "plan_order": "1", "credits": "999999", "refund": "1"}},
    "metadata that is none": {"metadata": ["credits"], "payment_intent": {"id": 7}, "customer": 3},
    "an id that is none": {"id": "../../v1/refunds", "metadata": None},
    "a number too great": {"amount": 10**40, "created": -1, "metadata": {"purchase": "9" * 30, "plan_order": "-1"}},
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("lie", LIES)
def test_what_a_genuine_event_says_is_looked_up_and_never_believed(
    plan_shop: PlanShop, targets: dict[str, Target], target: str, lie: str
) -> None:
    of = targets[target]
    before = standing(plan_shop, of.buyer)
    event = of.event(**LIES[lie])
    assert plan_shop.deliver(event).status_code == 200
    plan_shop.work(event["id"])
    assert plan_shop.event(event["id"]).state in ("handled", "ignored", "parked")
    assert plan_shop.outbox_row(f"stripe-event:{event['id']}").last_error is None
    assert standing(plan_shop, of.buyer) == before


# ---------------------------------------------------------------- what differs at Stripe itself


def _changed(shop: Shop, thing_id: str, change: str) -> None:
    with psycopg.connect(shop.app.config["SETTINGS"].database_owner_url) as connection:
        done = connection.execute(
            f"UPDATE stripe_sandbox.objects SET data = jsonb_set(data, {change}) WHERE id = %s",  # type: ignore[arg-type]
            [thing_id],
        )
        assert done.rowcount == 1, thing_id


@pytest.mark.parametrize("target", ["purchase", "plan order"])
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("""'{currency}', '"usd"'""", "currency"),
        ("'{amount_subtotal}', '1'", "amount"),
        ("'{livemode}', 'true'", "livemode"),
        ("""'{client_reference_id}', '"usr_somebody_else"'""", "client reference"),
        ("""'{metadata}', '{"credits": "999999"}'""", "'"),
    ],
)
def test_a_payment_that_is_not_what_was_agreed_is_parked_and_grants_nothing(
    plan_shop: PlanShop, target: str, change: str, named: str
) -> None:
    buyer = plan_shop.new_buyer()
    before = standing(plan_shop, buyer)
    session_id = buyer.start().stripe_session_id or "" if target == "purchase" else start(buyer)
    plan_shop.press(session_id, "pay")
    _changed(plan_shop, session_id, change)
    (completed,) = plan_shop.events(session_id)
    assert plan_shop.deliver(completed).status_code == 200
    plan_shop.work(completed["id"])
    event = plan_shop.event(completed["id"])
    assert event.state == "parked"
    assert named in event.reason
    assert standing(plan_shop, buyer) == before


@pytest.mark.parametrize(
    ("of", "change", "state"),
    [
        ("subscription", """'{customer}', '"cus_nobody"'""", "parked"),
        ("subscription", "'{livemode}', 'true'", "parked"),
        ("subscription", """'{items,data,0,price,id}', '"price_of_somebody"'""", "ignored"),
        ("invoice", """'{lines,data,0,pricing,price_details,price}', '"price_of_somebody"'""", "parked"),
        ("invoice", """'{currency}', '"usd"'""", "parked"),
        ("invoice", "'{lines,data,0,amount}', '1'", "parked"),
        ("invoice", """'{status}', '"open"'""", "handled"),
    ],
)
def test_a_subscription_or_invoice_that_is_not_what_was_agreed_grants_nothing(
    plan_shop: PlanShop, of: str, change: str, state: str
) -> None:
    buyer = plan_shop.new_buyer()
    before = standing(plan_shop, buyer)
    session_id = start(buyer)
    plan_shop.press(session_id, "pay")
    customer = plan_shop.member(buyer).customer_id
    (subscription,) = plan_shop.stripe.v1.subscriptions.list(params={"customer": customer}).data
    (invoice,) = plan_shop.stripe.v1.invoices.list(params={"customer": customer}).data
    _changed(plan_shop, subscription.id if of == "subscription" else invoice.id, change)
    told = [
        event
        for event in plan_shop.every_event()
        if event["data"]["object"]["id"] in (subscription.id, invoice.id)
        and event["type"] in ("customer.subscription.created", "invoice.paid")
    ]
    assert len(told) == 2
    for event in told:
        assert plan_shop.deliver(event).status_code == 200
        plan_shop.work(event["id"])
        assert plan_shop.event(event["id"]).state == state
    assert standing(plan_shop, buyer) == before
