"""The API as the SDK and plain HTTP see it: keys, errors, time and restarts."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
import requests
import stripe

from tests.stripe_sandbox.conftest import KEY, Sandbox, in_database
from tests.stripe_sandbox.raw import call, error_of
from webapp.stripe_sandbox.events import API_VERSION


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
