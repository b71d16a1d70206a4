"""Refunds of a charge: never more than it, and told cumulatively."""

import threading

import pytest
import requests
import stripe

from tests.stripe_sandbox.conftest import Sandbox
from tests.stripe_sandbox.raw import call


def test_refunds_are_counted_together_and_told_cumulatively(sandbox: Sandbox) -> None:
    charge = sandbox.paid_charge()
    sandbox.api.refunds.create({"charge": charge.id, "amount": 400})
    sandbox.api.refunds.create({"payment_intent": charge.payment_intent})
    after = sandbox.api.charges.retrieve(charge.id, {"expand": ["refunds"]})
    assert (after.amount_refunded, after.refunded) == (900, True)
    assert [refund.amount for refund in after.refunds.data] == [500, 400]
    told = sandbox.api.events.list({"type": "charge.refunded"}).data
    assert [event.data.object.amount_refunded for event in told] == [900, 400]


@pytest.mark.parametrize(
    ("before", "asked", "code", "message"),
    [
        (0, 901, "amount_too_large", "Refund amount (€9.01) is greater than charge amount (€9.00)"),
        (
            400,
            501,
            "amount_too_large",
            "Refund amount (€5.01) is greater than unrefunded amount on charge (€5.00)",
        ),
        (900, 1, "charge_already_refunded", "has already been refunded."),
    ],
)
def test_nothing_is_refunded_twice(sandbox: Sandbox, before: int, asked: int, code: str, message: str) -> None:
    charge = sandbox.paid_charge()
    if before:
        sandbox.api.refunds.create({"charge": charge.id, "amount": before})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        sandbox.api.refunds.create({"charge": charge.id, "amount": asked})
    assert caught.value.code == code
    assert message in str(caught.value)
    assert sandbox.api.charges.retrieve(charge.id).amount_refunded == before


def test_refunds_at_once_never_exceed_the_charge(sandbox: Sandbox) -> None:
    charge = sandbox.paid_charge()
    start = threading.Barrier(6)

    def refund() -> None:
        start.wait()
        call(sandbox, "/v1/refunds", f"charge={charge.id}&amount=300")

    askers = [threading.Thread(target=refund) for _ in range(6)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert sandbox.api.charges.retrieve(charge.id).amount_refunded == 900
    assert len(sandbox.api.refunds.list({"charge": charge.id}).data) == 3


def test_declined_charge_cannot_be_refunded(sandbox: Sandbox) -> None:
    sandbox.press(sandbox.open_session(), "decline")
    failed = sandbox.api.charges.list().data[0]
    with pytest.raises(stripe.InvalidRequestError, match="only a succeeded charge"):
        sandbox.api.refunds.create({"charge": failed.id})


def test_failed_refund_gives_the_charge_back(sandbox: Sandbox) -> None:
    charge = sandbox.paid_charge()
    refund = sandbox.api.refunds.create({"charge": charge.id})
    url = f"{sandbox.url}/_sandbox/refunds/{refund.id}/fail"
    assert requests.post(url, json={}, timeout=10).status_code == 200
    assert requests.post(url, json={}, timeout=10).status_code == 400
    assert sandbox.api.refunds.retrieve(refund.id).status == "failed"
    after = sandbox.api.charges.retrieve(charge.id)
    assert (after.amount_refunded, after.refunded) == (0, False)
    told = ["refund.updated", "charge.refund.updated", "refund.failed", "charge.updated"]
    assert sandbox.event_types()[-4:] == told
