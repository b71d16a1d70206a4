"""Lists by page and filter, and what is expanded in them."""

from typing import Any

import pytest
import stripe

from tests.stripe_sandbox.conftest import Sandbox, starter
from tests.stripe_sandbox.raw import call


def test_lists_go_newest_first_page_by_page(sandbox: Sandbox) -> None:
    names = [f"c{number}" for number in range(7)]
    for name in names:
        sandbox.api.customers.create({"name": name})
    page = sandbox.api.customers.list({"limit": 3})
    assert (len(page.data), page.has_more) == (3, True)
    assert [one.name for one in page.auto_paging_iter()] == names[::-1]
    newer = sandbox.api.customers.list({"limit": 2, "ending_before": page.data[2].id})
    assert [one.name for one in newer.data] == ["c6", "c5"]
    assert newer.has_more is False
    last = sandbox.api.customers.list({"limit": 3, "starting_after": page.data[2].id})
    assert [one.name for one in last.data] == ["c3", "c2", "c1"]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "starting_after=cus_none", "foo=1"])
def test_bad_page_is_refused(sandbox: Sandbox, query: str) -> None:
    assert call(sandbox, f"/v1/customers?{query}").status_code == 400


def test_line_items_are_listed_in_their_order_by_page(sandbox: Sandbox) -> None:
    session = sandbox.open_session(line_items=[starter(quantity=number) for number in range(1, 13)])
    page = sandbox.api.checkout.sessions.line_items.list(session.id, {"limit": 5})
    assert [item.quantity for item in page.auto_paging_iter()] == list(range(1, 13))
    shown = sandbox.api.checkout.sessions.retrieve(session.id, {"expand": ["line_items"]}).line_items
    assert (len(shown.data), shown.has_more) == (10, True)


def test_events_are_found_by_type_and_time(sandbox: Sandbox) -> None:
    sandbox.paid_charge()
    sandbox.clock.advance(hours=1)
    sandbox.api.customers.create({})

    def types(**params: Any) -> list[str]:
        return [event.type for event in sandbox.api.events.list(params).data]

    assert types(type="charge.succeeded") == ["charge.succeeded"]
    assert types(types=["customer.created", "charge.succeeded"]) == ["customer.created", "charge.succeeded"]
    now = int(sandbox.clock().timestamp())
    assert types(created={"gte": now}) == ["customer.created"]
    assert types(created={"gt": now}) == []
    assert len(types(created={"lt": now})) == 4
    assert types(created=now) == ["customer.created"]


def test_sessions_and_charges_are_found_by_their_intent(sandbox: Sandbox) -> None:
    charge, _other = sandbox.paid_charge(), sandbox.paid_charge()
    by_intent = {"payment_intent": charge.payment_intent}
    assert len(sandbox.api.checkout.sessions.list(by_intent).data) == 1
    assert [one.id for one in sandbox.api.charges.list(by_intent).data] == [charge.id]
    assert len(sandbox.api.checkout.sessions.list({"status": "complete"}).data) == 2


def test_expanding_goes_four_levels_and_no_further(sandbox: Sandbox) -> None:
    session = sandbox.open_session(customer=sandbox.api.customers.create({}).id)
    sandbox.press(session, "pay")
    deep = "payment_intent.latest_charge.balance_transaction.source"
    found = sandbox.api.checkout.sessions.retrieve(session.id, {"expand": [deep]})
    assert found.payment_intent.latest_charge.balance_transaction.source.object == "charge"
    with pytest.raises(stripe.InvalidRequestError, match="more than 4 levels"):
        sandbox.api.checkout.sessions.retrieve(session.id, {"expand": [f"{deep}.customer"]})
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        sandbox.api.checkout.sessions.retrieve(session.id, {"expand": ["metadata"]})
