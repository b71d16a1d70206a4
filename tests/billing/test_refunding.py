"""Giving money back from here: asked for once, made once, whatever is killed in between; and what it would do."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import requests
import stripe
from sqlalchemy import select, text

from jobs.refund_purchase import refund_purchase as refund_job
from tests.billing.shop import Buyer, Shop, at_once
from tests.billing.test_commands import run
from tests.billing.test_disputes import bought, control, open_dispute, spend
from webapp import ledger, outbox
from webapp.billing.purchase import Purchase
from webapp.billing.refund import Refund, refunds_of
from webapp.billing.refund_quote import RefundQuote, quote_refund
from webapp.billing.refunding import (
    ExceedsPayment,
    IntentReused,
    NotRefundable,
    outbox_key,
    refund_purchase,
    send_refund,
)
from webapp.billing.stripe_api import PaymentsUnavailable
from webapp.database import unit_of_work

SIGN_UP = 100


def ask(shop: Shop, purchase: Purchase, amount: int | None, intent: str = "one") -> Refund:
    with shop.app.app_context(), unit_of_work() as session:
        refund = refund_purchase(
            session, purchase_id=purchase.id, amount_minor=amount, reason="asked for", actor="admin:test", intent=intent
        )
        session.flush()
        session.expunge(refund)
        return refund


def send(shop: Shop, refund: Refund) -> str:
    with shop.app.app_context(), unit_of_work() as session:
        return send_refund(session, refund_id=refund.id).state


def kept(shop: Shop, purchase: Purchase) -> list[tuple[int, str, str]]:
    rows = shop.read(lambda session: refunds_of(session, purchase_id=purchase.id))
    return [(row.amount_minor, row.actor, row.state) for row in rows]


def at_stripe(shop: Shop, purchase: Purchase) -> list[tuple[int, str | None]]:
    found = shop.stripe.v1.refunds.list(params={"payment_intent": purchase.stripe_payment_intent_id or ""})
    return [(refund.amount, refund.status) for refund in found.data[::-1]]


def test_a_refund_from_here_gives_money_back_and_takes_its_share_of_the_credits(shop: Shop, buyer: Buyer) -> None:
    purchase = bought(shop, buyer)
    refund = ask(shop, purchase, 270)
    assert (kept(shop, purchase), at_stripe(shop, purchase)) == ([(270, "admin:test", "new")], [])
    assert send(shop, refund) == "succeeded"
    assert at_stripe(shop, purchase) == [(270, "succeeded")]
    assert buyer.balance() == SIGN_UP + 350
    assert shop.purchase(purchase.id).refunded_minor == 270
    shop.assert_sound()


def test_the_same_intent_is_one_refund_however_often_and_simultaneously_it_is_asked_and_sent(
    shop: Shop, buyer: Buyer
) -> None:
    purchase = bought(shop, buyer)

    def all_of_it() -> None:
        send(shop, ask(shop, purchase, 270))

    at_once([all_of_it] * 6)
    assert at_stripe(shop, purchase) == [(270, "succeeded")]
    assert kept(shop, purchase) == [(270, "admin:test", "succeeded")]
    with pytest.raises(IntentReused):
        ask(shop, purchase, 271)
    assert buyer.balance() == SIGN_UP + 350
    shop.assert_sound()


def test_two_refunds_at_once_never_exceed_the_price_together(shop: Shop, buyer: Buyer) -> None:
    purchase = bought(shop, buyer)
    refused: list[ExceedsPayment] = []

    def half(intent: str) -> None:
        try:
            ask(shop, purchase, 500, intent)
        except ExceedsPayment as refusal:
            refused.append(refusal)

    at_once([partial(half, "a"), partial(half, "b")])
    assert [refusal.left_minor for refusal in refused] == [400]


def test_all_that_is_left_is_refunded_when_no_amount_is_named(shop: Shop, buyer: Buyer) -> None:
    purchase = bought(shop, buyer)
    send(shop, ask(shop, purchase, 270, "a"))
    assert send(shop, ask(shop, purchase, None, "b")) == "succeeded"
    assert at_stripe(shop, purchase) == [(270, "succeeded"), (630, "succeeded")]
    assert buyer.balance() == SIGN_UP
    with pytest.raises(ExceedsPayment) as refusal:
        ask(shop, purchase, None, "c")
    assert refusal.value.left_minor == 0
    shop.assert_sound()


@pytest.mark.parametrize("amount", [0, -1, 901, 10**12])
def test_what_the_payment_does_not_hold_is_refused(shop: Shop, buyer: Buyer, amount: int) -> None:
    purchase = bought(shop, buyer)
    with pytest.raises(ExceedsPayment):
        ask(shop, purchase, amount)
    assert kept(shop, purchase) == []


def test_what_was_not_paid_or_is_disputed_is_not_refundable(shop: Shop, buyer: Buyer) -> None:
    with pytest.raises(NotRefundable, match="open"):
        ask(shop, buyer.start(), None)
    purchase = bought(shop, buyer)
    refund = ask(shop, purchase, 100)
    open_dispute(shop, purchase)
    assert send(shop, refund) == "refused"
    assert shop.read(lambda session: session.get_one(Refund, refund.id)).failure.startswith("charge_disputed: ")
    with shop.app.app_context(), unit_of_work() as session:
        from webapp.billing.fulfilment import settle_purchase

        settle_purchase(session, purchase_id=purchase.id)
    with pytest.raises(NotRefundable, match="disputed"):
        ask(shop, purchase, 100, "later")
    shop.assert_sound()


class Killed(BaseException):
    """The process died."""


@pytest.fixture
def killed_after_answer(shop: Shop) -> Iterator[None]:
    """Stripe does what it is asked, and its answer never arrives."""

    class Deaf(stripe.RequestsClient):
        def request(self, method, url, headers, post_data=None, **more):  # type: ignore[no-untyped-def]
            answer = super().request(method, url, headers, post_data, **more)
            if method == "post" and url.endswith("/refunds"):
                raise Killed
            return answer

    whole = shop.app.extensions["stripe"]
    shop.app.extensions["stripe"] = stripe.StripeClient(
        "sk_test_sandbox", base_addresses={"api": shop.sandbox_url}, http_client=Deaf()
    )
    yield
    shop.app.extensions["stripe"] = whole


def test_a_refund_whose_answer_was_lost_is_adopted_and_not_repeated(
    shop: Shop, buyer: Buyer, killed_after_answer: None
) -> None:
    purchase = bought(shop, buyer)
    refund = ask(shop, purchase, 270)
    with pytest.raises(Killed):
        send(shop, refund)
    assert (kept(shop, purchase), at_stripe(shop, purchase)) == (
        [(270, "admin:test", "new")],
        [(270, "succeeded")],
    )
    with shop.app.app_context():
        refund_job(shop.outbox_row(outbox_key(refund.id)).id)
    assert (kept(shop, purchase), at_stripe(shop, purchase)) == (
        [(270, "admin:test", "succeeded")],
        [(270, "succeeded")],
    )
    assert buyer.balance() == SIGN_UP + 350
    shop.assert_sound()


def test_its_event_alone_adopts_a_refund_whose_answer_was_lost(
    shop: Shop, buyer: Buyer, killed_after_answer: None
) -> None:
    purchase = bought(shop, buyer)
    refund = ask(shop, purchase, 270)
    with pytest.raises(Killed):
        send(shop, refund)
    (created,) = [
        event
        for event in shop.all_events()
        if event["type"] == "refund.created"
        and event["data"]["object"]["payment_intent"] == purchase.stripe_payment_intent_id
    ]
    shop.deliver(created)
    shop.work(created["id"])
    assert kept(shop, purchase) == [(270, "admin:test", "succeeded")]
    assert send(shop, refund) == "succeeded"
    assert len(at_stripe(shop, purchase)) == 1
    shop.assert_sound()


def test_a_refund_waits_while_stripe_is_away_and_is_made_when_it_is_back(shop: Shop, buyer: Buyer) -> None:
    purchase = bought(shop, buyer)
    refund = ask(shop, purchase, 270)
    control(shop, "settings", down=True)
    try:
        with pytest.raises(PaymentsUnavailable):
            send(shop, refund)
    finally:
        control(shop, "settings", down=False)
    assert kept(shop, purchase) == [(270, "admin:test", "new")]
    assert send(shop, refund) == "succeeded"
    shop.assert_sound()


def test_pending_refunds_count_and_failed_ones_give_the_credits_back(shop: Shop, buyer: Buyer) -> None:
    """With Stripe's test card whose refunds wait first."""
    for card, ends in (("4000000000007726", "succeeded"), ("4000000000005126", "failed")):
        buyer = shop.new_buyer()
        purchase = buyer.start()
        url = f"{shop.sandbox_url}/c/pay/{purchase.stripe_session_id}"
        requests.post(url, data={"action": "pay", "card": card}, allow_redirects=False, timeout=10)
        assert buyer.outcome(purchase) == "success"
        purchase = shop.purchase(purchase.id)
        assert send(shop, ask(shop, purchase, 450)) in ("pending", "succeeded")
        assert buyer.balance() == SIGN_UP + 250
        found = shop.stripe.v1.refunds.list(params={"payment_intent": purchase.stripe_payment_intent_id or ""})
        if ends == "failed":
            control(shop, f"refunds/{found.data[0].id}/fail")
        told = [
            event
            for event in shop.all_events()
            if event["type"].startswith("refund.") and event["data"]["object"]["id"] == found.data[0].id
        ]
        for event in told:
            shop.deliver(event)
            shop.work(event["id"])
        assert buyer.balance() == SIGN_UP + (500 if ends == "failed" else 250)
        if ends == "failed":
            assert kept(shop, purchase) == [(450, "admin:test", "failed")]
            assert shop.purchase(purchase.id).refunded_minor == 0
        shop.assert_sound()


def quote(shop: Shop, purchase: Purchase, amount: int | None = None) -> RefundQuote:
    with shop.app.app_context(), unit_of_work() as session:
        return quote_refund(session, purchase=session.get_one(Purchase, purchase.id), amount_minor=amount)


def test_a_quote_is_the_price_of_what_is_unspent_and_changes_nothing(shop: Shop, buyer: Buyer) -> None:
    purchase = bought(shop, buyer)
    spend(shop, buyer, SIGN_UP + 200)
    before = shop.read(lambda session: ledger.balance(session, account_id=purchase.account_id))
    found = quote(shop, purchase)
    assert (found.unspent_credits, found.unspent_minor, found.amount_minor, found.left_minor) == (300, 540, 540, 900)
    assert (found.taken, found.debt, found.gone) == (300, 0, 0)
    assert (found.balance_before, found.balance_after, found.debt_after) == (300, 0, 0)
    whole = quote(shop, purchase, 900)
    assert (whole.taken, whole.debt, whole.balance_after, whole.debt_after) == (300, 200, -200, 200)
    assert shop.read(lambda session: ledger.balance(session, account_id=purchase.account_id)) == before
    send(shop, ask(shop, purchase, 900))
    assert buyer.balance() == whole.balance_after
    shop.assert_sound()


def test_a_quote_knows_what_went_back_before_and_what_is_asked_for(shop: Shop, buyer: Buyer) -> None:
    purchase = bought(shop, buyer)
    send(shop, ask(shop, purchase, 270, "a"))
    found = quote(shop, purchase)
    assert (found.unspent_credits, found.amount_minor, found.left_minor, found.taken) == (350, 630, 630, 350)
    ask(shop, purchase, 500, "b")
    assert quote(shop, purchase).left_minor == 130
    with pytest.raises(ExceedsPayment):
        quote(shop, purchase, 131)


@pytest.mark.parametrize(
    ("currency", "package", "spent", "minor"),
    [("JPY", "starter", 0, None), ("JPY", "starter", 1, None), ("EUR", "starter", 1, 898), ("EUR", "starter", 499, 1)],
)
def test_a_quote_is_in_whole_minor_units_and_never_pays_a_spent_credit_back(
    shop: Shop, buyer: Buyer, currency: str, package: str, spent: int, minor: int | None
) -> None:
    purchase = buyer.start(package, currency=currency)
    shop.press(purchase.stripe_session_id or "", "pay")
    assert buyer.outcome(purchase) == "success"
    spend(shop, buyer, SIGN_UP + spent)
    found = quote(shop, shop.purchase(purchase.id))
    expected = (500 - spent) * purchase.price_minor // 500
    assert found.amount_minor == (expected if minor is None else minor) == expected
    assert (found.debt, found.taken <= 500 - spent) == (0, True)


def test_three_decimal_currencies_are_refunded_in_tens() -> None:
    from webapp.billing.refund_quote import worth

    assert worth(credits=1, of_credits=3, price_minor=10_000, currency="KWD") == 3_330
    assert worth(credits=1, of_credits=3, price_minor=10_000, currency="EUR") == 3_333
    assert worth(credits=1, of_credits=3, price_minor=10_000, currency="JPY") == 3_333
    assert worth(credits=3, of_credits=3, price_minor=10_000, currency="KWD") == 10_000


def test_an_operator_sees_the_quote_refunds_and_is_told_what_became_of_it(shop: Shop, buyer: Buyer) -> None:
    purchase = bought(shop, buyer)
    spend(shop, buyer, SIGN_UP + 250)
    number = str(purchase.id)
    quoted = run(shop.app, "purchase", "quote", number)
    assert quoted.exit_code == 0
    assert "€4.50" in quoted.output
    assert "250 credits" in quoted.output
    done = run(shop.app, "purchase", "refund", number, "--amount", "2.70", "--reason", "asked", "--yes")
    assert done.exit_code == 0, done.output
    assert "€2.70" in done.output
    assert at_stripe(shop, purchase) == [(270, "succeeded")]
    (kept_refund,) = shop.read(lambda s: list(s.scalars(select(Refund).where(Refund.purchase_id == purchase.id))))
    assert (kept_refund.reason, kept_refund.actor) == ("asked", "admin:cli")
    again = run(shop.app, "purchase", "refund", purchase.stripe_session_id or "", "--reason", "asked", "--yes")
    assert again.exit_code == 0, again.output
    assert at_stripe(shop, purchase) == [(270, "succeeded"), (630, "succeeded")]
    for wrong in (
        ("refund", number, "--reason", "asked", "--yes"),
        ("refund", number, "--amount", "0.001", "--reason", "asked", "--yes"),
        ("refund", number, "--amount", "nonsense", "--reason", "asked", "--yes"),
        ("refund", number, "--amount", "NaN", "--reason", "asked", "--yes"),
        ("refund", number, "--reason", " ", "--yes"),
        ("refund", "999999999", "--reason", "asked", "--yes"),
        ("refund", "no-such", "--reason", "asked", "--yes"),
        ("quote", "999999999999999999999999"),
    ):
        refused = run(shop.app, "purchase", *wrong)
        assert refused.exit_code in (1, 2), wrong
        assert "Traceback" not in refused.output
    assert len(at_stripe(shop, purchase)) == 2
    shop.assert_sound()


_IS_WAITED_FOR = text("SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))")


def test_an_operator_and_a_worker_at_the_same_refund_wait_for_each_other(
    shop: Shop, buyer: Buyer, monkeypatch: pytest.MonkeyPatch
) -> None:
    purchase = bought(shop, buyer)
    monkeypatch.setattr("webapp.commands.purchase.refund_purchase", lambda *_, **__: refund)  # the worker was faster
    refund = ask(shop, purchase, 270)
    with ThreadPoolExecutor(1) as operator, shop.app.app_context(), unit_of_work() as session:
        row_id = shop.outbox_row(outbox_key(refund.id)).id
        row = outbox.begin(session, row_id=row_id)
        assert row is not None
        typed = operator.submit(
            run, shop.app, "purchase", "refund", str(purchase.id), "--amount", "2.70", "--reason", "asked", "--yes"
        )
        deadline = time.monotonic() + 15
        while session.execute(_IS_WAITED_FOR).first() is None:
            assert time.monotonic() < deadline, "nobody waited"
            assert not typed.done(), typed.result().output
        send_refund(session, refund_id=refund.id)
        outbox.done(session, row=row)
        session.commit()
        told = typed.result(timeout=15)
    assert told.exit_code == 0, told.output
    assert "€2.70: succeeded" in told.output
    assert at_stripe(shop, purchase) == [(270, "succeeded")]
    shop.assert_sound()


def test_a_refund_is_only_made_after_a_yes(shop: Shop, buyer: Buyer) -> None:
    purchase = bought(shop, buyer)
    result = shop.app.test_cli_runner().invoke(
        args=["purchase", "refund", str(purchase.id), "--reason", "asked"], input="n\n"
    )
    assert result.exit_code == 1
    assert kept(shop, purchase) == []
