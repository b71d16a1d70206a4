"""Idempotency keys: one intent, one effect, one answer."""

import threading

import psycopg
import pytest
import stripe

from tests.stripe_sandbox.conftest import Sandbox
from tests.stripe_sandbox.raw import call, error_of


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
