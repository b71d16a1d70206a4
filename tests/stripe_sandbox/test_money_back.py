"""Refunds that wait or fail, and disputes from their opening to their end."""

from typing import Any

import pytest
import requests
import stripe

from tests.stripe_sandbox.conftest import Sandbox


def charge_of(sandbox: Sandbox, card: str) -> Any:
    session = sandbox.open_session()
    assert sandbox.press(session, "pay", card=card).status_code == 303
    return sandbox.api.charges.list().data[0]


def press(sandbox: Sandbox, path: str, **sent: Any) -> requests.Response:
    return requests.post(f"{sandbox.url}/_sandbox/{path}", json=sent, timeout=10)


def settle(sandbox: Sandbox) -> None:
    sandbox.clock.advance(seconds=6)
    sandbox.run_due()


def test_refund_that_fails_is_told_in_every_way(sandbox: Sandbox) -> None:
    charge = charge_of(sandbox, "4000000000005126")
    refund = sandbox.api.refunds.create({"charge": charge.id, "amount": 300})
    assert refund.status == "succeeded"
    settle(sandbox)
    assert sandbox.api.refunds.retrieve(refund.id).status == "failed"
    after = sandbox.api.charges.retrieve(charge.id)
    assert (after.amount_refunded, after.refunded) == (0, False)
    told = sandbox.event_types()
    assert told[-4:] == ["refund.updated", "charge.refund.updated", "refund.failed", "charge.updated"]
    settle(sandbox)
    assert sandbox.event_types() == told


def test_refund_that_waits_succeeds_later(sandbox: Sandbox) -> None:
    charge = charge_of(sandbox, "4000000000007726")
    refund = sandbox.api.refunds.create({"charge": charge.id})
    assert (refund.status, sandbox.api.charges.retrieve(charge.id).refunded) == ("pending", True)
    settle(sandbox)
    assert sandbox.api.refunds.retrieve(refund.id).status == "succeeded"
    assert sandbox.event_types()[-2:] == ["refund.updated", "charge.refund.updated"]


def test_card_that_is_disputed_takes_the_money_away(sandbox: Sandbox) -> None:
    charge = charge_of(sandbox, "4000000000000259")
    sandbox.run_due()
    dispute = sandbox.api.disputes.list({"charge": charge.id}).data[0]
    assert (dispute.status, dispute.reason, dispute.amount) == ("needs_response", "fraudulent", 900)
    assert dispute.payment_intent == charge.payment_intent
    assert sandbox.api.charges.retrieve(charge.id).disputed is True
    assert dispute.balance_transactions[0].net == -900 - 1_500
    told = sandbox.event_types()
    assert told[-3:] == ["charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.updated"]
    with pytest.raises(stripe.InvalidRequestError) as caught:
        sandbox.api.refunds.create({"charge": charge.id})
    assert caught.value.code == "charge_disputed"
    sandbox.run_due()
    assert len(sandbox.api.disputes.list().data) == 1


@pytest.mark.parametrize(("deed", "status"), [("win", "won"), ("lose", "lost")])
def test_dispute_is_opened_and_decided_on_the_control_page(sandbox: Sandbox, deed: str, status: str) -> None:
    charge = sandbox.paid_charge()
    sandbox.api.refunds.create({"charge": charge.id, "amount": 400})
    opened = press(sandbox, f"charges/{charge.id}/dispute", reason="product_not_received").json()
    assert (opened["amount"], opened["reason"]) == (500, "product_not_received")
    assert press(sandbox, f"charges/{charge.id}/dispute").status_code == 400
    assert press(sandbox, f"disputes/{opened['id']}/{deed}").json()["status"] == status
    assert press(sandbox, f"disputes/{opened['id']}/win").status_code == 400
    told = sandbox.event_types()
    assert told[-1] == "charge.dispute.closed"
    assert ("charge.dispute.funds_reinstated" in told) == (status == "won")
    if status == "won":
        assert sandbox.api.refunds.create({"charge": charge.id}).amount == 500


@pytest.mark.parametrize(
    ("text", "status"),
    [("winning_evidence", "won"), ("losing_evidence", "lost"), ("They used it.", "under_review")],
)
def test_evidence_decides_as_in_stripes_test_mode(sandbox: Sandbox, text: str, status: str) -> None:
    charge = sandbox.paid_charge()
    opened = press(sandbox, f"charges/{charge.id}/dispute").json()
    answered = sandbox.api.disputes.update(opened["id"], {"evidence": {"uncategorized_text": text}})
    assert (answered.status, answered.evidence_details.submission_count) == (status, 1)
    assert "charge.dispute.updated" in sandbox.event_types()


def test_dispute_can_be_accepted(sandbox: Sandbox) -> None:
    opened = press(sandbox, f"charges/{sandbox.paid_charge().id}/dispute").json()
    assert sandbox.api.disputes.close(opened["id"]).status == "lost"
    with pytest.raises(stripe.InvalidRequestError):
        sandbox.api.disputes.close(opened["id"])


@pytest.mark.parametrize(
    ("path", "sent", "status"),
    [
        ("charges/ch_none/dispute", {}, 404),
        ("charges/ch_none/dispute", {"reason": "boredom"}, 400),
        ("disputes/du_none/win", {}, 404),
        ("subscriptions/sub_none/fail-next", {}, 404),
        ("invoices/in_none/retry", {}, 404),
        ("charges/ch_none/hug", {}, 404),
        ("events/evt_none/deliver", {"times": 21}, 404),
    ],
)
def test_buttons_refuse_what_is_not_there(sandbox: Sandbox, path: str, sent: dict[str, Any], status: int) -> None:
    assert press(sandbox, path, **sent).status_code == status
