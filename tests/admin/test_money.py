"""Money in the admin pages: purchases found and refunded once, with the right figures before."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, text

from tests.admin.conftest import Member
from tests.billing.conftest import buyer, shop
from tests.billing.shop import Buyer, Shop
from tests.billing.test_disputes import bought, deliver_disputes, open_dispute, spend
from tests.billing.test_refunding import send
from tests.statements import sent_through
from webapp.admin import disputes, events, invoices, orders, purchases, subscriptions
from webapp.admin.audit import AuditLine
from webapp.admin.listing import Listing, _ordered
from webapp.admin.money_field import NotAnAmount, minor_units, plain_amount
from webapp.billing.purchase import Purchase
from webapp.billing.refund import Refund, refunds_of
from webapp.database import unit_of_work
from webapp.extensions import db
from webapp.people.user import User

__all__ = ["buyer", "shop"]  # a shop with Stripe behind it

SIGN_UP = 100


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


def submission_of(page: str) -> str:
    found = re.search(r'name="submission" value="([^"]+)"', page)
    assert found, page
    return found[1]


def figure(page: str, name: str) -> tuple[str, str]:
    """Before and after, as the page shows them."""
    row = re.search(rf'<tr data-figure="{name}">(.*?)</tr>', page, re.DOTALL)
    assert row, name
    before, after = re.findall(r"<bdi>(.*?)</bdi>", row[1])
    return before, after


def refunds(shop: Shop, purchase: Purchase) -> list[Refund]:
    return list(shop.read(lambda session: refunds_of(session, purchase_id=purchase.id)))


def test_a_partial_refund_is_shown_then_made_once(shop: Shop, buyer: Buyer, finance: Member) -> None:
    purchase = bought(shop, buyer)
    spend(shop, buyer, SIGN_UP + 400)
    path = f"/admin/purchases/{purchase.id}/refund"
    form = finance.get(path).text
    assert 'value="1.80"' in form  # what the hundred unspent ones cost
    fields = {"amount": "2.70", "reason": "Asked within 14 days"}
    shown = finance.post(path, fields)
    assert shown.status_code == 200, shown.text
    assert figure(shown.text, "given_back") == ("€0.00", "€2.70")
    assert figure(shown.text, "left_of_payment") == ("€9.00", "€6.30")
    assert figure(shown.text, "credits_of_payment") == ("100", "0")
    assert figure(shown.text, "balance") == ("100", "−50")
    assert figure(shown.text, "debt") == ("0", "50")
    assert refunds(shop, purchase) == []
    confirmed = {**fields, "step": "confirm", "submission": submission_of(shown.text)}
    for _attempt in range(2):  # sent twice by an impatient finger
        answer = finance.post(path, confirmed)
        assert answer.status_code == 303, answer.text
        assert answer.headers["Location"] == f"/admin/purchases/{purchase.id}"
    (refund,) = refunds(shop, purchase)
    assert (refund.amount_minor, refund.reason, refund.state) == (270, "Asked within 14 days", "new")
    assert refund.actor == f"admin:{finance.external_id}"
    assert shop.outbox_row(f"refund:{refund.id}").job == "refund_purchase"
    assert send(shop, refund) == "succeeded"
    assert buyer.balance() == -50
    page = finance.get(f"/admin/purchases/{purchase.id}").text
    assert "Asked within 14 days" in page
    assert "Given back" in page
    assert finance.email in page
    with shop.app.app_context(), unit_of_work() as session:
        line = session.scalars(select(AuditLine).where(AuditLine.subject == f"purchase:{purchase.id}")).one()
        assert (line.act, line.price_minor, line.currency, line.credits) == ("purchase.refund", 270, "EUR", 150)
    shop.assert_sound()


@pytest.mark.parametrize(
    ("amount", "message"),
    [
        ("9.01", "At most €9.00 can be given back"),
        ("0", "no amount in EUR"),
        ("-1", "no amount in EUR"),
        ("1.234", "no amount in EUR"),
        ("1e3", "no amount in EUR"),
        ("", "Say how much"),
    ],
)
def test_what_cannot_be_refunded_names_the_field(
    shop: Shop, finance: Member, sold: Purchase, amount: str, message: str
) -> None:
    answer = finance.post(f"/admin/purchases/{sold.id}/refund", {"amount": amount, "reason": "x"})
    assert answer.status_code == 422
    assert message in answer.text
    assert 'href="#amount"' in answer.text
    assert refunds(shop, sold) == []


@pytest.fixture(scope="module")
def sold(shop: Shop) -> Purchase:
    """A purchase that no test touches."""
    return bought(shop, shop.new_buyer())


def test_a_disputed_payment_says_why_it_is_not_refunded(shop: Shop, buyer: Buyer, finance: Member) -> None:
    purchase = bought(shop, buyer)
    dispute_id = open_dispute(shop, purchase)
    deliver_disputes(shop, purchase)
    answer = finance.get(f"/admin/purchases/{purchase.id}/refund")
    assert "The payment is disputed" in answer.text
    assert 'name="amount"' not in answer.text
    assert finance.post_raw(f"/admin/purchases/{purchase.id}/refund", {"amount": "1"}).status_code == 400
    listed = finance.get(f"/admin/disputes?of={dispute_id}").text
    assert "Open; credits frozen" in listed
    assert '<bdi dir="ltr">500</bdi>' in listed
    assert f'href="/admin/purchases/{purchase.id}"' in listed
    assert dispute_id in finance.get("/admin/disputes?state=waiting&sort=due").text
    assert dispute_id in finance.get(f"/admin/purchases/{purchase.id}").text


@pytest.mark.parametrize("by", ["stripe_session_id", "stripe_payment_intent_id", "id", "external_id", "email"])
def test_a_purchase_is_found_by_whatever_one_has(shop: Shop, finance: Member, sold: Purchase, by: str) -> None:
    with shop.app.app_context(), unit_of_work() as session:
        email = session.scalars(select(User.email).where(User.id == sold.user_id)).one()
    wanted = email.upper() if by == "email" else getattr(sold, by)
    found = finance.get("/admin/purchases", query_string={"of": wanted, "state": "fulfilled", "package": "starter"})
    assert re.findall(r'<tr data-id="(\d+)">', found.text) == [str(sold.id)]


def test_a_page_of_a_purchase_leads_to_all_that_belongs_to_it(shop: Shop, finance: Member, sold: Purchase) -> None:
    for event in shop.events(sold.stripe_session_id or ""):
        assert shop.deliver(event).status_code == 200
        shop.work(event["id"])
    with shop.app.app_context():
        engine = db.engine
    with sent_through(engine) as sent:
        page = finance.get(f"/admin/purchases/{sold.id}")
    assert page.status_code == 200
    assert sold.stripe_payment_intent_id in page.text
    assert f'href="/admin/accounts/{sold.account_id}"' in page.text
    assert re.search(r'href="/admin/events/evt_\w+"', page.text)
    assert f'href="{shop.sandbox_url}/_sandbox/#charges"' in page.text
    assert 'id="granted"><bdi dir="ltr">500' in page.text
    assert len(sent) <= 14, sent
    payment = finance.get(f"/admin/payments/{sold.stripe_payment_intent_id}")
    assert (payment.status_code, payment.headers["Location"]) == (303, f"/admin/purchases/{sold.id}")


def test_people_of_support_read_purchases_and_refund_nothing(person: Callable[..., Member], sold: Purchase) -> None:
    support = person("support")
    page = support.get(f"/admin/purchases/{sold.id}")
    assert page.status_code == 200
    assert "/refund" not in page.text
    assert "/admin/events/" not in page.text
    assert support.get(f"/admin/purchases/{sold.id}/refund").status_code == 404
    assert support.post_raw(f"/admin/purchases/{sold.id}/refund").status_code in (400, 404)


PATHS = ("purchases", "subscriptions", "orders", "invoices", "disputes", "events")


@pytest.mark.parametrize("role", [None, "translator", "support"])
def test_who_lacks_the_role_finds_nothing(person: Callable[..., Member], sold: Purchase, role: str | None) -> None:
    one = person(role)
    closed = ("disputes", "events") if role == "support" else PATHS
    for name in PATHS:
        for path in (f"/admin/{name}", f"/admin/{name}.csv"):
            assert one.get(path, buffered=True).status_code == (404 if name in closed else 200), path
    if role != "support":
        assert one.get(f"/admin/purchases/{sold.id}").status_code == 404


@pytest.mark.parametrize("name", PATHS)
def test_nonsense_in_the_address_is_no_error(finance: Member, name: str) -> None:
    for query in ("after=x", "after=WzEsMl0", "sort=no&state=no&status=no", "of=%00&about=%00&type=%00", "of=%F0%9F"):
        assert finance.get(f"/admin/{name}?{query}").status_code == 200, query
    for rest in ("%00", "evt_%00", "99999999999999999999", "-1", "x" * 3000):
        assert finance.get(f"/admin/{name}/{rest}").status_code == 404, rest


def make_many(shop: Shop, statement: str, **given: Any) -> None:
    with shop.app.app_context(), unit_of_work() as session:
        session.execute(text(statement), given)


# A row of each, many times: purchases of one account, and so on.
MANY = {
    "purchases": """
        INSERT INTO purchases (user_id, account_id, external_id, intent, mode, package, package_name, shown_name,
            credits, price_minor, currency, locale, created_at)
        SELECT user_id, :account, :name, 'many-' || n, mode, package, package_name, shown_name, credits, price_minor,
            currency, locale, created_at FROM purchases, generate_series(1, 120) n WHERE id = :purchase""",
    "disputes": """
        INSERT INTO disputes (stripe_dispute_id, mode, stripe_payment_intent_id, amount_minor, currency, reason, status,
            state, opened_at)
        SELECT 'du_many' || n, 'sandbox', 'pi_many', 100, 'EUR', 'fraudulent', 'won', 'over', now()
        FROM generate_series(1, 120) n""",
    "events": """
        INSERT INTO stripe_events (id, type, livemode, created_at, payload, received_at, state)
        SELECT 'evt_many' || n, 'refund.created', false, now(), '{"data": {"object": {"id": "re_many"}}}', now(),
            'ignored'
        FROM generate_series(1, 120) n""",
    "subscriptions": """
        INSERT INTO subscriptions (mode, stripe_subscription_id, stripe_customer_id, account_id, external_id, plan,
            price_minor, currency, status, cancel_at_period_end, created_at)
        SELECT 'sandbox', 'sub_many' || n, 'cus_many', :account, :name, 'pro', 1200, 'EUR', 'canceled', false, now()
        FROM generate_series(1, 120) n""",
    "orders": """
        INSERT INTO plan_orders (account_id, external_id, intent, mode, plan, plan_name, shown_name, billed,
            price_minor, currency, trial_days, locale, created_at, state, reason, success_url, cancel_url)
        SELECT :account, :name, 'many-' || n, 'sandbox', 'pro', 'Pro', 'Pro', 'once', 1200, 'EUR', 0, 'en', now(),
            'parked', '<b>why</b>', 'https://a.example', 'https://a.example'
        FROM generate_series(1, 120) n""",
    "invoices": """
        INSERT INTO subscription_invoices (stripe_invoice_id, subscription_id, account_id, billing_reason, status,
            total_minor, paid_minor, currency, created_at)
        SELECT 'in_many' || s.id, s.id, :account, 'subscription_cycle', 'void', 1200, 0, 'EUR', now()
        FROM subscriptions s WHERE s.account_id = :account""",
}
ASKED = {"disputes": "of=pi_many", "events": "about=re_many"}


def test_each_list_is_read_to_its_end_page_by_page(shop: Shop, finance: Member, sold: Purchase) -> None:
    with shop.app.app_context():
        engine = db.engine
    for name, statement in MANY.items():
        make_many(shop, statement, account=finance.account_id, name=finance.external_id, purchase=sold.id)
        query = ASKED.get(name, f"of={finance.external_id}")
        seen: list[str] = []
        path: str | None = f"/admin/{name}?{query}"
        while path:
            with sent_through(engine) as sent:
                page = finance.get(path).text
            assert len(sent) <= 8, (name, sent)
            assert "<b>why" not in page, name
            seen += re.findall(r'<tr data-id="([^"]+)">', page)
            more = re.search(r'href="([^"]+)"[^>]* rel="next"', page)
            path = more[1].replace("&amp;", "&") if more else None
        assert (len(seen), len(set(seen))) == (120, 120), name
        csv = finance.download(f"/admin/{name}.csv?{query}").text.splitlines()
        assert len(csv) == 121, name


@pytest.mark.parametrize(
    ("typed", "currency", "locale", "minor"),
    [
        ("2.70", "EUR", "en", 270),
        ("2,70", "EUR", "en", 270),
        ("2.70", "EUR", "de", 270),
        ("2,70", "EUR", "de", 270),
        ("1.234,50", "EUR", "de", 123450),
        ("1,234.50", "EUR", "en", 123450),
        ("1 234,50", "EUR", "fr", 123450),
        ("٢٫٧٠", "EUR", "ar", 270),
        ("2", "EUR", "pt_BR", 200),
        ("1500", "JPY", "ja", 1500),
        ("1,500", "JPY", "ja", 1500),
        ("1.230", "KWD", "en", 1230),
    ],
)
def test_an_amount_is_read_as_people_write_it(typed: str, currency: str, locale: str, minor: int) -> None:
    assert minor_units(typed, currency=currency, locale=locale) == minor
    again = plain_amount(minor, currency=currency, locale=locale)
    assert minor_units(again, currency=currency, locale=locale) == minor


@pytest.mark.parametrize("typed", ["", " ", "0", "-2", "2.705", "1.5e1", "NaN", "two", "1.2.3", "9" * 40, "€2", "=1"])
def test_what_is_no_amount_is_refused(typed: str) -> None:
    with pytest.raises(NotAnAmount):
        minor_units(typed, currency="EUR", locale="en")


ORDERED: list[tuple[Listing, dict[str, str]]] = [
    (purchases.LISTING, {}),
    (purchases.LISTING, {"state": "parked"}),
    (purchases.LISTING, {"package": "starter"}),
    (purchases.LISTING, {"of": "somebody@example.com"}),
    (subscriptions.LISTING, {}),
    (subscriptions.LISTING, {"status": "past_due"}),
    (subscriptions.LISTING, {"plan": "pro"}),
    (subscriptions.LISTING, {"of": "usr_somebody"}),
    (orders.LISTING, {}),
    (orders.LISTING, {"state": "parked"}),
    (orders.LISTING, {"of": "usr_somebody"}),
    (invoices.LISTING, {}),
    (invoices.LISTING, {"status": "open"}),
    (invoices.LISTING, {"of": "usr_somebody"}),
    (disputes.LISTING, {}),
    (events.LISTING, {}),
    (events.LISTING, {"state": "parked"}),
    (events.LISTING, {"type": "refund.created"}),
]


def test_each_order_and_filter_has_its_index(shop: Shop) -> None:
    """With sorting made dear, a plan that sorts all the same has no index to go by."""
    with shop.app.app_context(), unit_of_work() as session:
        for off in ("seqscan", "bitmapscan", "sort", "incremental_sort", "hashjoin", "mergejoin"):
            session.execute(text(f"SET LOCAL enable_{off} = off"))
        for listing, values in ORDERED:
            for sort in listing.sorts:
                statement = _ordered(listing, values, sort, None).limit(51)
                compiled = statement.compile(session.connection(), compile_kwargs={"literal_binds": True})
                explain = text(f"EXPLAIN {compiled}".replace(":", r"\:"))
                plan = "\n".join(session.execute(explain).scalars())
                assert "Sort" not in plan, (listing.key, values, sort.key, plan)
