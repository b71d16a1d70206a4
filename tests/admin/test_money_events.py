"""Stripe's events in the admin pages: read without harm, and handled again; what plans were paid with."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy import select, text

from tests.admin.conftest import Member
from tests.billing.conftest import buyer, shop
from tests.billing.plan_shop import start
from tests.billing.shop import Buyer, Shop
from webapp import clock
from webapp.admin.audit import AuditLine
from webapp.admin.events import readable
from webapp.billing.events_about import is_about
from webapp.billing.purchase import Purchase
from webapp.billing.refund import Refund
from webapp.billing.stripe_event import StripeEvent
from webapp.billing.subscription import SubscriptionInvoice
from webapp.database import unit_of_work
from webapp.people.user import User

__all__ = ["buyer", "shop"]  # a shop with Stripe behind it


@pytest.fixture
def person(shop: Shop) -> Callable[..., Member]:
    def make(role: str | None, **kwargs: str) -> Member:
        one = Member(shop.app, **kwargs)
        with shop.app.app_context(), unit_of_work() as session:
            session.query(User).filter_by(email=one.email).one().role = role
        return one

    return make


@pytest.fixture
def finance(person: Callable[..., Member]) -> Member:
    return person("finance")


def parked_event(shop: Shop, purchase: Purchase) -> str:
    """The buyer has paid, and the event that says so waits for a person; its id."""
    shop.press(purchase.stripe_session_id or "", "pay")
    (completed,) = shop.events(purchase.stripe_session_id or "")
    assert shop.deliver(completed).status_code == 200
    with shop.app.app_context(), unit_of_work() as session:
        event = session.get_one(StripeEvent, completed["id"])
        event.state, event.reason = "parked", "Stripe <b>was</b> away"
    return str(completed["id"])


def test_a_parked_event_is_handled_again_once_it_can_be(shop: Shop, buyer: Buyer, finance: Member) -> None:
    purchase = buyer.start()
    event_id = parked_event(shop, purchase)
    assert buyer.bought() == []
    assert event_id in finance.get("/admin/events?state=parked").text
    page = finance.get(f"/admin/events/{event_id}").text
    assert "Stripe &lt;b&gt;was&lt;/b&gt; away" in page
    assert "Handle it again" in page
    for _attempt in range(2):
        answer = finance.post(f"/admin/events/{event_id}/replay", form=f"/admin/events/{event_id}")
        assert answer.status_code == 303, answer.text
        assert answer.headers["Location"] == f"/admin/events/{event_id}"
    assert buyer.bought() == [500]
    assert shop.event(event_id).state == "handled"
    assert "It was handled again." in finance.get(f"/admin/events/{event_id}").text
    with shop.app.app_context(), unit_of_work() as session:
        lines = session.scalars(select(AuditLine).where(AuditLine.subject == f"event:{event_id}")).all()
        assert [(line.act, line.before["state"], line.after["state"]) for line in lines] == [
            ("event.replay", "parked", "handled"),
            ("event.replay", "handled", "handled"),
        ]
    shop.assert_sound()


def test_an_event_that_nobody_sent_is_not_made_up(finance: Member) -> None:
    assert finance.get("/admin/events/evt_nobody").status_code == 404
    assert finance.post("/admin/events/evt_nobody/replay", form="/settings").status_code == 404


def test_people_of_support_handle_nothing_again(shop: Shop, buyer: Buyer, person: Callable[..., Member]) -> None:
    event_id = parked_event(shop, buyer.start())
    support = person("support")
    assert support.get(f"/admin/events/{event_id}").status_code == 404
    assert support.post(f"/admin/events/{event_id}/replay", form="/settings").status_code == 404
    assert shop.event(event_id).state == "parked"


def test_markup_and_secrets_in_a_payload_do_nothing(shop: Shop, finance: Member) -> None:
    thing = {
        "id": "pi_evil<script>alert(1)</script>",
        "client_secret": "pi_1_secret_abcdefghijkl",
        "description": "</code></pre><img src=x onerror=alert(1)>",
        "note": "keys are sk_live_0123456789abcdef and whsec_0123456789abcdef",
        "idempotency_key": "purchase:7",
    }
    payload = {"id": "evt_evil", "data": {"object": thing}}
    with shop.app.app_context(), unit_of_work() as session:
        session.merge(
            StripeEvent(
                id="evt_evil",
                type="<i>evil</i>",
                livemode=False,
                payload=payload,
                state="ignored",
                created_at=clock.now(),
                received_at=clock.now(),
            )
        )
    for path in ("/admin/events/evt_evil", "/admin/events"):
        page = finance.get(path).text
        for markup in ("<script>alert", "<img src=x", "<i>evil"):
            assert markup not in page, path
    page = finance.get("/admin/events/evt_evil").text
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "purchase:7" in page
    for secret in ("_secret_abc", "sk_live_0", "whsec_0"):
        assert secret not in page


def test_a_huge_payload_is_cut() -> None:
    assert len(readable({"text": "x" * 300_000})) < 201_000


def test_events_are_found_by_the_index_that_is_there_for_it(shop: Shop) -> None:
    with shop.app.app_context(), unit_of_work() as session:
        session.execute(text("SET LOCAL enable_seqscan = off"))
        wanted = select(StripeEvent.id).where(is_about(["pi_1", "cs_1"]))
        compiled = wanted.compile(session.connection(), compile_kwargs={"literal_binds": True})
        plan = "\n".join(session.execute(text(f"EXPLAIN {compiled}".replace(":", r"\:"))).scalars())
    assert "stripe_events_ids_idx" in plan


def test_a_plans_payment_is_shown_and_refunded_once(shop: Shop, buyer: Buyer, finance: Member) -> None:
    session_id = start(buyer)
    assert shop.press(session_id, "pay").status_code == 303
    assert buyer.browser.get("/checkout/return", query_string={"session_id": session_id}).status_code == 200
    account_id = buyer.user.account_id
    invoice = shop.read(
        lambda s: s.scalars(select(SubscriptionInvoice).where(SubscriptionInvoice.account_id == account_id)).one()
    )
    payment = invoice.stripe_payment_intent_id
    listed = finance.get(f"/admin/subscriptions?of={buyer.browser.email}&status=active&plan=pro").text
    found = re.search(r'href="(/admin/subscriptions/\d+)"', listed)
    assert found
    assert f'href="/admin/payments/{payment}"' in finance.get(found[1]).text
    assert f'href="/admin/payments/{payment}"' in finance.get(f"/admin/invoices?of={payment}").text
    path = f"/admin/payments/{payment}"
    page = finance.get(path).text
    assert "€12.00" in page
    assert 'data-period="0"' in page
    assert f'href="{found[1]}"' in page
    fields = {"amount": "3,60", "reason": "Asked"}
    assert "At most €12.00" in finance.post(f"{path}/refund", {**fields, "amount": "12.01"}).text
    shown = finance.post(f"{path}/refund", fields)
    assert shown.status_code == 200, shown.text
    assert "€8.40" in shown.text
    submission = re.search(r'name="submission" value="([^"]+)"', shown.text)
    assert submission
    confirmed = {**fields, "step": "confirm", "submission": submission[1]}
    for _attempt in range(2):
        assert finance.post(f"{path}/refund", confirmed).status_code == 303
    asked = shop.read(lambda s: list(s.scalars(select(Refund).where(Refund.stripe_payment_intent_id == payment))))
    assert [(one.amount_minor, one.state, one.reason) for one in asked] == [(360, "new", "Asked")]
    assert "Being asked of Stripe" in finance.get(path).text
    assert finance.get("/admin/payments/pi_nobody").status_code == 404
    assert finance.get("/admin/payments/pi_nobody/refund").status_code == 404
