"""One box: whatever one has at hand leads to what it names, by an index, and to nothing that one may not open."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from sqlalchemy import select, text

from tests.credits.member import Member, statements
from tests.people.browser import unique_email
from webapp import clock
from webapp.admin.audit import AuditLine
from webapp.billing.purchase import Purchase
from webapp.billing.stripe_customer import StripeCustomer
from webapp.billing.stripe_event import StripeEvent
from webapp.database import unit_of_work
from webapp.people.user import User

__all__ = ["statements"]


def new_id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(8)}"


@pytest.fixture
def support(person: Callable[..., Member]) -> Member:
    return person("support")


def find(by: Member, sought: object) -> str:
    """Where the search leads to at once; else the page."""
    answer = by.get(f"/admin/search?q={quote(str(sought))}")
    assert answer.status_code in (200, 303)
    return answer.headers.get("Location") or answer.text


@pytest.fixture
def bought(shop: Flask, member: Member) -> dict[str, str]:
    """A purchase of the member's, with ids of Stripe's, and its events."""
    ids = {kind: new_id(kind) for kind in ("cus", "cs", "pi", "ch", "evt")}
    with shop.app_context(), unit_of_work() as session:
        user = session.scalars(select(User).where(User.email == member.email)).one()
        purchase = Purchase(
            user_id=user.id,
            account_id=member.account_id,
            external_id=member.external_id,
            intent=new_id("intent"),
            mode="sandbox",
            package="starter",
            package_name="Starter",
            shown_name="Starter",
            credits=100,
            price_minor=900,
            currency="EUR",
            locale="en",
            created_at=clock.now(),
            stripe_session_id=ids["cs"],
            stripe_payment_intent_id=ids["pi"],
        )
        session.add(purchase)
        session.add(StripeCustomer(account_id=member.account_id, mode="sandbox", stripe_customer_id=ids["cus"]))
        session.add(event(ids["evt"], "payment_intent.succeeded", id=ids["pi"], latest_charge=ids["ch"]))
        session.add(event(new_id("evt"), "refund.created", id=new_id("re"), charge=ids["ch"], payment_intent=ids["pi"]))
        session.flush()
        ids["purchase"] = str(purchase.id)
    return ids


def event(event_id: str, type: str, **thing: Any) -> StripeEvent:
    return StripeEvent(
        id=event_id,
        type=type,
        livemode=False,
        created_at=datetime.now(UTC),
        payload={"data": {"object": thing}},
        received_at=datetime.now(UTC),
    )


def test_an_account_is_found_by_its_name_number_and_address(support: Member, member: Member) -> None:
    page = f"/admin/accounts/{member.account_id}"
    assert find(support, member.email.upper()) == page
    assert find(support, f"  {member.external_id} ") == page
    found = find(support, member.account_id)
    assert found == page or f'href="{page}"' in found  # a purchase may have this number, too


def test_an_entry_is_found_by_its_number_and_its_key(support: Member, member: Member) -> None:
    member.grant(50)
    entry = member.spend(5, idempotency_key="order:17/a")
    page = f"/admin/accounts/{member.account_id}/entries/{entry.seq}"
    assert find(support, f"{member.external_id}:{entry.seq}") == page
    assert find(support, f"{member.account_id}:{entry.seq}") == page
    assert find(support, f"{member.external_id}:order:17/a") == page
    assert "Nothing is found" in find(support, f"{member.external_id}:{entry.seq + 1}")


def test_stripes_ids_lead_to_what_they_paid(support: Member, member: Member, bought: dict[str, str]) -> None:
    page = f"/admin/purchases/{bought['purchase']}"
    assert find(support, bought["cs"]) == page
    assert find(support, bought["pi"]) == page
    assert find(support, bought["ch"]) == page, "no row has a charge: its events say whose it is"
    assert find(support, bought["cus"]) == f"/admin/accounts/{member.account_id}"
    found = find(support, bought["purchase"])
    assert found == page or f'href="{page}"' in found


def test_events_are_for_those_who_may_open_them(
    support: Member, person: Callable[..., Member], bought: dict[str, str]
) -> None:
    finance = person("finance")
    assert find(finance, bought["evt"]) == f"/admin/events/{bought['evt']}"
    assert f"/admin/events/{bought['evt']}" not in find(support, bought["evt"])


def test_an_address_is_found_by_its_beginning(support: Member, shop: Flask) -> None:
    start = f"{secrets.token_hex(6)}"
    for name in ("ann", "bob"):
        other = Member(shop)
        with shop.app_context(), unit_of_work() as session:
            user = session.scalars(select(User).where(User.email == other.email)).one()
            user.email = user.email_key = unique_email(f"{start}.{name}")
    page = find(support, start.upper() + ".")
    assert f"{start}.ann" in page
    assert f"{start}.bob" in page
    assert "This begins so" in page
    assert "Nothing is found" in find(support, start[:2] + "%")


def test_what_a_form_came_to_is_found_by_its_number(person: Callable[..., Member], member: Member, shop: Flask) -> None:
    from tests.admin.test_acts import doer, perform

    finance = person("finance")
    perform(shop, doer(shop, finance, "finance"), member.account_id, 5)
    with shop.app_context(), unit_of_work() as session:
        line = session.scalars(select(AuditLine).where(AuditLine.account_id == member.account_id)).one()
        number, submission = line.id, line.submission
    assert find(finance, submission) == f"/admin/audit-log/{number}"
    assert find(finance, f"admin:{submission}") == f"/admin/audit-log/{number}"


@pytest.mark.parametrize(
    "sought",
    [
        "",
        " ",
        "'",
        "%",
        "\0",
        "0",
        "-1",
        "9" * 400,
        "a:b:c",
        ":",
        "a:" + "9" * 30,
        "pi_",
        "_",
        "@",
        "<b>x</b>",
        "\ud800",
    ],
)
def test_anything_may_be_sought(support: Member, sought: str) -> None:
    answer = support.get("/admin/search", query_string={"q": sought.encode("utf-8", "surrogatepass")})
    assert answer.status_code in (200, 303)
    assert "<b>x" not in answer.text


@pytest.mark.parametrize("role", [None, "translator"])
def test_who_lacks_the_role_finds_nothing(person: Callable[..., Member], role: str | None) -> None:
    by = person(role)
    assert by.get("/admin/search?q=x").status_code == 404
    if role:
        assert 'role="search"' not in by.get("/admin/translations").text


@pytest.mark.parametrize("sought", ["person-1", "usr_x", "pi_nobodys", "cus_nobodys", "in_nobodys", "12345", "acme:17"])
def test_a_search_sends_few_statements(support: Member, statements: list[str], sought: str) -> None:
    support.get("/admin")
    statements.clear()
    find(support, sought)
    assert len(statements) <= 16, statements


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("SELECT * FROM users WHERE email_key ~>=~ 'ab' AND email_key ~<~ 'ac'", "users_email_key_prefix_idx"),
        ("SELECT * FROM subscriptions WHERE stripe_customer_id = 'cus_1'", "subscriptions_stripe_customer_id_idx"),
        ("SELECT * FROM audit_log WHERE who = 'x' ORDER BY id DESC LIMIT 51", "audit_log_who_idx"),
        (None, "stripe_events_ids_idx"),
    ],
)
def test_an_index_answers(shop: Flask, statement: str | None, index: str) -> None:
    """However many rows there come to be: with nothing else allowed PostgreSQL takes the index."""
    from webapp.billing.events_about import _IDS

    wanted = statement or f"SELECT * FROM stripe_events WHERE {_IDS} && ARRAY['pi_1']"
    with shop.app_context(), unit_of_work() as session:
        session.execute(text("SET LOCAL enable_seqscan = off"))
        session.execute(text("SET LOCAL enable_sort = off"))
        plan = "\n".join(session.execute(text(f"EXPLAIN {wanted}".replace(":", "\\:"))).scalars())
    assert index in plan, plan
