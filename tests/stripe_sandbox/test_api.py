"""The API as the SDK and plain HTTP see it: keys, idempotency, pages, errors."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
import requests
import stripe

from tests.stripe_sandbox.conftest import KEY, Sandbox, in_database, starter
from webapp.stripe_sandbox.events import API_VERSION


def call(sandbox: Sandbox, path: str, body: str | None = None, **headers: str) -> requests.Response:
    """One raw request: a GET, or a POST of this form body."""
    sent = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-www-form-urlencoded", **headers}
    method = "GET" if body is None else "POST"
    return requests.request(
        method, sandbox.url + path, data=None if body is None else body.encode(), headers=sent, timeout=10
    )


def error_of(answer: requests.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    assert answer.headers["Request-Id"] in error["request_log_url"]
    return error


# ---------------------------------------------------------------- keys and shapes


def test_events_are_of_the_version_that_the_sdk_pins(sandbox: Sandbox) -> None:
    assert stripe.api_version == API_VERSION
    sandbox.api.customers.create({})
    assert sandbox.api.events.list().data[0].api_version == stripe.api_version


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"Authorization": ""}, "You did not provide an API key."),
        ({"Authorization": "Bearer sk_test_wrong_key_9999"}, "Invalid API Key provided: sk_test_"),
        ({"Authorization": "Basic !!!"}, "You did not provide an API key."),
    ],
)
def test_wrong_key_is_401(sandbox: Sandbox, headers: dict[str, str], message: str) -> None:
    answer = call(sandbox, "/v1/customers", **headers)
    assert answer.status_code == 401
    assert error_of(answer)["message"].startswith(message)


def test_sdk_raises_its_authentication_error(sandbox: Sandbox) -> None:
    stranger = stripe.StripeClient("sk_test_other", base_addresses={"api": sandbox.url})
    with pytest.raises(stripe.AuthenticationError):
        stranger.v1.customers.list()


def test_key_may_come_as_the_name_of_basic_authentication(sandbox: Sandbox) -> None:
    assert requests.get(f"{sandbox.url}/v1/customers", auth=(KEY, ""), timeout=10).status_code == 200


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1", "/v1/customers/a/b/c"])
def test_unknown_address_is_stripes_404(sandbox: Sandbox, path: str) -> None:
    answer = call(sandbox, path)
    assert answer.status_code == 404
    assert error_of(answer)["message"] == f"Unrecognized request URL (GET: {path})."


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/v1/customers/cus_none", "id"),
        ("/v1/customers/%00", "id"),
        ("/v1/products/prod_none", "id"),
        ("/v1/prices/price_none", "price"),
        ("/v1/checkout/sessions/cs_none", "session"),
        ("/v1/checkout/sessions/cs_none/line_items", "session"),
        ("/v1/payment_intents/pi_none", "intent"),
        ("/v1/charges/ch_none", "charge"),
        ("/v1/refunds/re_none", "id"),
        ("/v1/events/evt_none", "id"),
    ],
)
def test_unknown_id_is_404(sandbox: Sandbox, path: str, param: str) -> None:
    answer = call(sandbox, path)
    assert answer.status_code == 404
    assert (error_of(answer)["code"], error_of(answer)["param"]) == ("resource_missing", param)


SESSION = "mode=payment&success_url=http://a.test/&line_items[0][quantity]=1"
PRICED = f"{SESSION}&line_items[0][price_data][currency]=eur&line_items[0][price_data][unit_amount]=900"
NAMED = f"{PRICED}&line_items[0][price_data][product_data][name]=A"


@pytest.mark.parametrize(
    ("path", "body", "code", "param"),
    [
        ("/v1/customers", "foo=1", "parameter_unknown", "foo"),
        ("/v1/customers", "address[planet]=x", "parameter_unknown", "address[planet]"),
        ("/v1/customers", "email=nobody", "email_invalid", "email"),
        ("/v1/customers", "email=a&email[b]=c", None, "email[b]"),
        ("/v1/customers", "metadata=x", None, "metadata"),
        ("/v1/customers", f"metadata[a]={'x' * 501}", None, "metadata[a]"),
        ("/v1/customers", f"metadata[{'k' * 41}]=x", None, "metadata"),
        ("/v1/customers", "&".join(f"metadata[{i}]=x" for i in range(51)), None, "metadata"),
        ("/v1/customers", "name=%ff", None, None),
        ("/v1/customers", "name=a%00b", None, None),
        ("/v1/customers", "a[b][c][d][e][f][g][h][i][j][k]=1", None, "a"),
        ("/v1/customers", "&".join(f"a{i}=x" for i in range(2_001)), None, None),
        ("/v1/customers", "balance=1.5", "parameter_invalid_integer", "balance"),
        ("/v1/customers", "expand[]=foo", None, "expand[]"),
        ("/v1/products", "", "parameter_missing", "name"),
        ("/v1/products", "name=", "parameter_invalid_empty", "name"),
        ("/v1/products", "name=A&active=yes", None, "active"),
        ("/v1/prices", "unit_amount=1&product=x", "parameter_missing", "currency"),
        ("/v1/prices", "currency=eur&product=x", "parameter_missing", "unit_amount"),
        ("/v1/prices", "currency=eur&unit_amount=1&product=x", "resource_missing", "product"),
        ("/v1/prices", "currency=eur&unit_amount=-1&product=x", "parameter_invalid_integer", "unit_amount"),
        ("/v1/prices", "currency=zzz&unit_amount=1&product=x", None, "currency"),
        ("/v1/checkout/sessions", "", "parameter_missing", "mode"),
        ("/v1/checkout/sessions", "mode=gift", None, "mode"),
        ("/v1/checkout/sessions", "mode=payment", "parameter_missing", "success_url"),
        ("/v1/checkout/sessions", "mode=payment&success_url=/a", "url_invalid", "success_url"),
        ("/v1/checkout/sessions", "mode=payment&success_url=http://[", "url_invalid", "success_url"),
        (
            "/v1/checkout/sessions",
            "mode=payment&success_url=http://a.test/",
            "parameter_missing",
            "line_items",
        ),
        ("/v1/checkout/sessions", SESSION, "parameter_missing", "line_items[0][price]"),
        (
            "/v1/checkout/sessions",
            PRICED,
            "parameter_missing",
            "line_items[0][price_data][product_data]",
        ),
        (
            "/v1/checkout/sessions",
            f"{SESSION}&line_items[0][price]=price_none",
            "resource_missing",
            "line_items[0][price]",
        ),
        ("/v1/checkout/sessions", f"{NAMED}&line_items[0][foo]=1", "parameter_unknown", "line_items[0][foo]"),
        ("/v1/checkout/sessions", f"{NAMED}&line_items[x]=1", None, "line_items"),
        ("/v1/checkout/sessions", f"{NAMED}&locale=ar", None, "locale"),
        ("/v1/checkout/sessions", f"{NAMED}&customer=cus_none", "resource_missing", "customer"),
        (
            "/v1/checkout/sessions",
            f"{NAMED}&customer=cus_a&customer_email=a@b.c",
            "parameters_exclusive",
            "customer",
        ),
        ("/v1/checkout/sessions", f"{NAMED}&expires_at=1", None, "expires_at"),
        (
            "/v1/checkout/sessions",
            NAMED.replace("=900", "=49"),
            "amount_too_small",
            "line_items",
        ),
        ("/v1/checkout/sessions", f"{NAMED}&currency=usd", None, "line_items"),
        ("/v1/refunds", "", "parameter_missing", None),
        ("/v1/refunds", "charge=ch_none", "resource_missing", "charge"),
        ("/v1/refunds", "charge=a&payment_intent=b", "parameters_exclusive", "charge"),
    ],
)
def test_bad_parameters_are_refused_by_name_and_write_nothing(
    sandbox: Sandbox, path: str, body: str, code: str | None, param: str | None
) -> None:
    answer = call(sandbox, path, body)
    assert answer.status_code == 400, answer.text
    error = error_of(answer)
    assert (error["type"], error.get("code"), error.get("param")) == ("invalid_request_error", code, param)
    with psycopg.connect(sandbox.dsn) as connection:
        assert connection.execute("SELECT count(*) FROM stripe_sandbox.objects").fetchone() == (0,)


def test_json_body_is_refused(sandbox: Sandbox) -> None:
    answer = call(sandbox, "/v1/customers", "{}", **{"Content-Type": "application/json"})
    assert answer.status_code == 400


def test_huge_body_is_413(sandbox: Sandbox) -> None:
    answer = call(sandbox, "/v1/customers", "name=" + "x" * 1_100_000)
    assert answer.status_code == 413


def test_metadata_is_merged_and_deleted_key_by_key(sandbox: Sandbox) -> None:
    customer = sandbox.api.customers.create({"metadata": {"a": "1", "b": "2"}})
    changed = sandbox.api.customers.update(customer.id, {"metadata": {"b": "", "c": "3"}})
    assert changed.metadata.to_dict() == {"a": "1", "c": "3"}
    told = sandbox.api.events.list().data[0]
    assert told.type == "customer.updated"
    assert told.data.previous_attributes["metadata"].to_dict() == {"a": "1", "b": "2"}


def test_lookup_key_moves_only_when_asked(sandbox: Sandbox) -> None:
    data = {"currency": "eur", "unit_amount": 900, "product_data": {"name": "A"}, "lookup_key": "starter"}
    first = sandbox.api.prices.create(data)
    with pytest.raises(stripe.InvalidRequestError, match="already uses that lookup key"):
        sandbox.api.prices.create(data)
    second = sandbox.api.prices.create({**data, "transfer_lookup_key": True})
    found = sandbox.api.prices.list({"lookup_keys": ["starter"]})
    assert [price.id for price in found.data] == [second.id]
    assert sandbox.api.prices.retrieve(first.id).lookup_key is None


def test_inactive_and_recurring_prices_are_not_sold_in_payment_mode(sandbox: Sandbox) -> None:
    data = {"currency": "eur", "unit_amount": 900, "product_data": {"name": "A"}}
    monthly = sandbox.api.prices.create({**data, "recurring": {"interval": "month"}})
    gone = sandbox.api.prices.create(data)
    sandbox.api.prices.update(gone.id, {"active": False})
    for price, message in ((monthly, "recurring price"), (gone, "inactive")):
        with pytest.raises(stripe.InvalidRequestError, match=message):
            sandbox.open_session(line_items=[{"price": price.id, "quantity": 1}])


# ---------------------------------------------------------------- idempotency


def test_replayed_key_gives_the_first_answer_and_makes_nothing(sandbox: Sandbox) -> None:
    keyed = {"Idempotency-Key": "k1"}
    first = call(sandbox, "/v1/customers", "name=Ada", **keyed)
    again = call(sandbox, "/v1/customers", "name=Ada", **keyed)
    assert first.text == again.text
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Original-Request"] == first.headers["Request-Id"]
    assert again.headers["Request-Id"] != first.headers["Request-Id"]
    assert len(sandbox.api.customers.list().data) == 1
    event = sandbox.api.events.list().data[0]
    assert (event.request.id, event.request.idempotency_key) == (first.headers["Request-Id"], "k1")


def test_key_with_other_parameters_is_an_idempotency_error(sandbox: Sandbox) -> None:
    sandbox.api.customers.create({"name": "Ada"}, {"idempotency_key": "k1"})
    with pytest.raises(stripe.IdempotencyError, match="same parameters") as caught:
        sandbox.api.customers.create({"name": "Bob"}, {"idempotency_key": "k1"})
    assert caught.value.http_status == 400
    with pytest.raises(stripe.IdempotencyError, match="same endpoint"):
        sandbox.api.products.create({"name": "Ada"}, {"idempotency_key": "k1"})


def test_key_under_way_elsewhere_is_409(sandbox: Sandbox) -> None:
    with psycopg.connect(sandbox.dsn) as other:
        other.execute("SELECT pg_advisory_xact_lock(577361, hashtext('k1'))")
        answer = call(sandbox, "/v1/customers", "name=Ada", **{"Idempotency-Key": "k1"})
    assert answer.status_code == 409
    assert error_of(answer)["code"] == "idempotency_key_in_use"
    assert sandbox.api.customers.list().data == []


def test_simultaneous_requests_with_one_key_make_one_object(sandbox: Sandbox) -> None:
    start = threading.Barrier(5)
    answers: list[int] = []

    def ask() -> None:
        start.wait()
        answers.append(call(sandbox, "/v1/customers", "name=A", **{"Idempotency-Key": "k"}).status_code)

    askers = [threading.Thread(target=ask) for _ in range(5)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert 200 in answers
    assert set(answers) <= {200, 409}
    assert len(sandbox.api.customers.list().data) == 1


def test_refused_parameters_do_not_use_up_the_key(sandbox: Sandbox) -> None:
    keyed = {"Idempotency-Key": "k1"}
    assert call(sandbox, "/v1/customers", "foo=1", **keyed).status_code == 400
    assert call(sandbox, "/v1/customers", "name=Ada", **keyed).status_code == 200


def test_refusal_after_execution_began_is_replayed(sandbox: Sandbox) -> None:
    charge = sandbox.paid_charge()
    sandbox.api.refunds.create({"charge": charge.id})
    keyed = {"Idempotency-Key": "k1"}
    first = call(sandbox, "/v1/refunds", f"charge={charge.id}", **keyed)
    again = call(sandbox, "/v1/refunds", f"charge={charge.id}", **keyed)
    assert (first.status_code, first.json()["error"]["code"]) == (400, "charge_already_refunded")
    assert again.text == first.text
    assert again.headers["Idempotent-Replayed"] == "true"


def test_key_is_forgotten_after_a_day(sandbox: Sandbox) -> None:
    sandbox.api.customers.create({"name": "Ada"}, {"idempotency_key": "k1"})
    sandbox.clock.advance(hours=24)
    sandbox.api.customers.create({"name": "Bob"}, {"idempotency_key": "k1"})
    assert len(sandbox.api.customers.list().data) == 2


def test_overlong_key_is_refused(sandbox: Sandbox) -> None:
    answer = call(sandbox, "/v1/customers", "name=Ada", **{"Idempotency-Key": "k" * 256})
    assert answer.status_code == 400


# ---------------------------------------------------------------- pages and filters


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


# ---------------------------------------------------------------- refunds


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


# ---------------------------------------------------------------- expanding, time, restart


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


def test_everything_is_still_there_after_a_restart(sandbox: Sandbox, start_sandbox: Callable[..., Any]) -> None:
    session = sandbox.open_session()
    sandbox.press(session, "delay")
    sandbox.api.customers.create({"name": "Ada"}, {"idempotency_key": "k1"})
    with start_sandbox() as again:
        again.clock.advance(seconds=6)
        again.run_due()
        assert again.api.checkout.sessions.retrieve(session.id).payment_status == "paid"
        again.api.customers.create({"name": "Ada"}, {"idempotency_key": "k1"})
        assert len(again.api.customers.list().data) == 1


def test_clock_of_the_ledger_is_the_sandboxs(
    servers: Any, own_database: str, start_sandbox: Callable[..., Any]
) -> None:
    with psycopg.connect(in_database(servers.owner_url, own_database)) as owner:
        owner.execute("CREATE SCHEMA ledger")
        owner.execute(
            "CREATE FUNCTION ledger.now() RETURNS timestamptz LANGUAGE sql AS $$SELECT timestamptz"
            " '2031-02-03 04:05:06+00'$$"
        )
        owner.execute("GRANT USAGE ON SCHEMA ledger TO PUBLIC")
    with start_sandbox(in_=own_database, now=None) as started:
        made = started.api.customers.create({})
        assert datetime.fromtimestamp(made.created, UTC).isoformat() == "2031-02-03T04:05:06+00:00"


def test_answers_are_not_cached_and_say_their_version(sandbox: Sandbox) -> None:
    answer = call(sandbox, "/v1/customers")
    assert answer.headers["Stripe-Version"] == API_VERSION
    assert "no-store" in answer.headers["Cache-Control"]
    assert json.loads(answer.text) == {"object": "list", "data": [], "has_more": False, "url": "/v1/customers"}
