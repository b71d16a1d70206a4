"""The API against its own OpenAPI document: whatever that allows or forbids is sent, and each answer held to it.

What no schema can say (that an account exists, what a feature is called, that a moment lies in the past) is put right
before an allowed request is sent; a forbidden one goes as it is.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.config import PositiveDataAcceptanceConfig
from schemathesis.generation import GenerationMode

from tests.api.conftest import Caller, make_secret
from tests.conftest import TestServers
from tests.stripe_sandbox.conftest import serve
from webapp.api import ENDPOINTS
from webapp.api.endpoint import Endpoint
from webapp.api.openapi import PREFIX
from webapp.catalog.install import install_shipped_catalog
from webapp.database import unit_of_work
from webapp.stripe_sandbox import create_sandbox, install

SOME = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)
RICH = "rich-1"
# A key that was used for something else, credits that do not suffice, what is not there (any more).
REFUSED_ALL_THE_SAME = (402, 404, 409, 422)
KNOWN = {
    "account": RICH,
    "feature": "image",
    "package": "starter",
    "plan": "pro",
    "unlock": "brand-kit",
    "time_zone": "Europe/Berlin",
    "features": ["image", "export"],
}
LEFT_OUT = ("occurred_at", "expires_at", "dimensions", "currency", "source_key", "overdraft_limit")
# Their items are judged one by one, and the answer is 200 or 202 whatever they are worth.
BATCHES = ("/spends/batch", "/usage")


@pytest.fixture(scope="module")
def caller(servers: TestServers, make_app: Callable[..., Flask]) -> Iterator[Caller]:
    """With every right, in a shop that has a Stripe to sell by."""
    install(servers.owner_url)

    def make(url: str) -> Flask:
        return create_sandbox(
            dsn=servers.database_url, base_url=url, webhook_url=None, webhook_secret="whsec_sandbox", background=False
        )

    with serve(make) as url:
        app = make_app(servers, STRIPE_API_BASE=url)
        with app.app_context(), unit_of_work() as session:
            install_shipped_catalog(session)
        caller = Caller(app.test_client(), make_secret(app, rate_per_minute=1_000_000))
        caller.put(f"/accounts/{RICH}", {})
        assert caller.post("/grants", {"account": RICH, "amount": 10**12, "reason": "Test"}).status_code == 201
        yield caller


@pytest.fixture(scope="module")
def document(caller: Caller) -> Any:
    """The document as a caller reads it."""
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", caller.client.application)
    expected = ["2xx", "3xx", *map(str, REFUSED_ALL_THE_SAME)]
    schema.config.checks.positive_data_acceptance = PositiveDataAcceptanceConfig(expected_statuses=expected)
    return schema


def put_right(case: Any) -> None:
    if not isinstance(case.body, dict):
        return
    case.body = body = storable(case.body)
    for name, value in KNOWN.items():
        if body.get(name) is not None:
            body[name] = value
    for name in LEFT_OUT:
        body.pop(name, None)
    for name in ("amount", "quantity"):
        if isinstance(body.get(name), int):
            body[name] = 1 + body[name] % 5


def storable(value: Any) -> Any:
    """Without U+0000 and numbers of over 64 bits at any depth, and with 1 for 1.0, which JSON Schema takes for 1."""
    if isinstance(value, dict):
        return {storable(name): storable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [storable(inner) for inner in value]
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value % 10**15 if type(value) is int and abs(value) > 10**15 else value


def described(one: Endpoint) -> str:
    return f"{one.method} {one.path}"


@pytest.mark.parametrize("one", ENDPOINTS, ids=described)
def test_what_the_document_allows_is_done_as_it_says(document: Any, caller: Caller, one: Endpoint) -> None:
    operation = document[PREFIX + one.path.replace("<", "{").replace(">", "}")][one.method]

    @SOME
    @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def send(case: Any) -> None:
        put_right(case)
        case.call_and_validate(headers={"Authorization": f"Bearer {caller.secret}"})

    send()


@pytest.mark.parametrize("one", [one for one in ENDPOINTS if one.body or one.query or "<" in one.path], ids=described)
def test_what_the_document_forbids_is_refused_as_it_says(document: Any, caller: Caller, one: Endpoint) -> None:
    operation = document[PREFIX + one.path.replace("<", "{").replace(">", "}")][one.method]
    items = [schemathesis.checks.negative_data_rejection] if one.path in BATCHES else []

    @SOME
    @given(case=operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def send(case: Any) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {caller.secret}"}, excluded_checks=items)

    send()


def test_calls_that_follow_from_each_other_do_as_the_document_says(document: Any, caller: Caller) -> None:
    class Story(document.as_state_machine()):  # type: ignore[misc]
        def before_call(self, case: Any) -> None:
            put_right(case)

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"headers": {"Authorization": f"Bearer {caller.secret}"}}

        def validate_response(self, response: Any, case: Any, **more: Any) -> None:
            # That the key matters is seen above; here the check would not know that the key was ours.
            excluded = [schemathesis.checks.ignored_auth]
            if case.operation.path.removeprefix(PREFIX) in BATCHES:
                excluded.append(schemathesis.checks.negative_data_rejection)
            case.validate_response(response, excluded_checks=excluded, **more)

    Story.run(settings=settings(SOME, max_examples=15, stateful_step_count=6))
