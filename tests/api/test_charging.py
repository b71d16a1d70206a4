"""Charging around work in Python: reserved before, charged after, given back when it failed."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from sqlalchemy import event
from sqlalchemy.orm import Session

from tests.api.conftest import Caller, make_secret, new_name, pass_time
from tests.statements import sent_through
from webapp import clock
from webapp.api.charging import AlreadyCharged, AlreadyRunning, ChargeRefused, OutOfCredits, charge, charged_for
from webapp.catalog.install import install_shipped_catalog
from webapp.catalog.rate_card_file import read_card
from webapp.catalog.rate_card_versions import known_features, publish_card
from webapp.database import unit_of_work
from webapp.extensions import db


class WorkFailed(Exception):
    """What the work of a test fails with."""


@pytest.fixture
def product(app: Flask, secret: str) -> Iterator[Flask]:
    """The product, in whose application Tallystick is."""
    with app.app_context():
        yield app


@pytest.fixture
def account(caller: Caller) -> str:
    return caller.new_account(credits=100)


def figures(caller: Caller, account: str) -> tuple[int, int]:
    """What the account has, and how much of that is held."""
    answer = caller.get(f"/accounts/{account}").get_json()
    return answer["balance"], answer["held"]


def newest(caller: Caller, account: str) -> dict[str, Any]:
    entry: dict[str, Any] = caller.get(f"/accounts/{account}/entries").get_json()["data"][0]
    return entry


def test_what_the_work_costs_is_held_while_it_is_done_and_charged_after_it(
    product: Flask, caller: Caller, account: str
) -> None:
    with charge(account=account, feature="image", quantity=3, key="render", reference="render/1") as charged:
        assert figures(caller, account) == (100, 24)
        assert (charged.cost, charged.quantity, charged.replayed) == (24, 3, False)
        assert caller.get(f"/holds/{charged.hold_id}").get_json()["state"] == "open"
    assert figures(caller, account) == (76, 0)
    entry = newest(caller, account)
    assert charged.entry_id == entry["id"]
    assert (entry["feature"], entry["quantity"], entry["reference"]) == ("image", 3, "render/1")
    assert entry["idempotency_key"] == "render"
    arithmetic = caller.get(f"/entries/{entry['id']}").get_json()["arithmetic"]
    assert (arithmetic["credits"], arithmetic["quantity"]) == (24, 3)


@pytest.mark.parametrize(("quantity", "left"), [(1, 92), (2, 84), (5, 60)])
def test_the_work_is_charged_for_what_it_came_to(
    product: Flask, caller: Caller, account: str, quantity: int, left: int
) -> None:
    with charge(account=account, feature="image", quantity=2, key="render") as charged:
        charged.quantity = quantity
        assert charged.cost == 8 * quantity
    assert figures(caller, account) == (left, 0)
    assert newest(caller, account)["quantity"] == quantity


@pytest.mark.parametrize("amount", [1, 30, 40])
def test_an_amount_of_credits_can_come_to_less_or_more(
    product: Flask, caller: Caller, account: str, amount: int
) -> None:
    with charge(account=account, amount=30, description="Training", key="train") as charged:
        charged.amount = amount
    assert figures(caller, account) == (100 - amount, 0)
    assert newest(caller, account)["description"] == "Training"


def test_an_amount_overrules_the_rate_card(product: Flask, caller: Caller, account: str) -> None:
    with charge(account=account, feature="image", quantity=2, key="render") as charged:
        charged.amount = 5
    assert figures(caller, account) == (95, 0)
    assert newest(caller, account)["feature"] == "image"


@pytest.mark.parametrize("said", ["quantity", "amount"])
def test_work_that_came_to_nothing_costs_nothing(product: Flask, caller: Caller, account: str, said: str) -> None:
    with charge(account=account, feature="image", key="render") as charged:
        setattr(charged, said, 0)
    assert figures(caller, account) == (100, 0)
    assert charged.entry is None


def test_failed_work_costs_nothing_and_fails_as_it_did(product: Flask, caller: Caller, account: str) -> None:
    failure = WorkFailed("no such model")
    with pytest.raises(WorkFailed) as raised, charge(account=account, feature="image", key="render"):
        raise failure
    assert raised.value is failure
    assert figures(caller, account) == (100, 0)


def test_failed_work_may_be_tried_again_under_its_key_and_is_charged_once(
    product: Flask, caller: Caller, account: str
) -> None:
    for _attempt in range(3):
        with pytest.raises(WorkFailed), charge(account=account, feature="image", key="render"):
            raise WorkFailed
    with charge(account=account, feature="image", key="render") as charged:
        pass
    assert not charged.replayed
    assert figures(caller, account) == (92, 0)


def test_work_that_was_charged_is_not_charged_again_and_sees_that(product: Flask, caller: Caller, account: str) -> None:
    def render() -> tuple[bool, str]:
        with charge(account=account, feature="image", quantity=2, key="render") as charged:
            charged.quantity = 1 if not charged.replayed else 7
        return charged.replayed, charged.entry_id

    first, second = render(), render()
    assert (first[0], second[0]) == (False, True)
    assert first[1] == second[1] == newest(caller, account)["id"]
    assert figures(caller, account) == (92, 0)


def test_a_replay_needs_no_credits_and_no_price(product: Flask, caller: Caller, account: str) -> None:
    with charge(account=account, amount=100, key="all"):
        pass
    with charge(account=account, amount=100, key="all") as charged:
        raise_if_charged_again = charged.replayed
    assert raise_if_charged_again
    assert figures(caller, account) == (0, 0)


def test_failing_in_a_replay_gives_nothing_back(product: Flask, caller: Caller, account: str) -> None:
    with charge(account=account, feature="image", key="render"):
        pass
    with pytest.raises(WorkFailed), charge(account=account, feature="image", key="render"):
        raise WorkFailed
    assert figures(caller, account) == (92, 0)


def test_a_key_names_one_work_only(product: Flask, caller: Caller, account: str) -> None:
    with charge(account=account, feature="image", key="render"):
        pass
    with pytest.raises(ChargeRefused) as refused:
        charge(account=account, feature="image", quantity=2, key="render").reserve()
    assert refused.value.problem.code == "idempotency_key_reused"
    assert caller.spend(account, 5, key="spent").status_code == 201
    with pytest.raises(ChargeRefused) as refused:
        charge(account=account, feature="image", key="spent").reserve()
    assert refused.value.problem.code == "idempotency_key_reused"


def test_work_under_way_is_not_begun_a_second_time(product: Flask, caller: Caller, account: str) -> None:
    with charge(account=account, feature="image", key="render", expires_in=60):
        with pytest.raises(AlreadyRunning) as refused:
            charge(account=account, feature="image", key="render", expires_in=60).reserve()
        assert refused.value.problem.status == 409
        assert 0 < int(refused.value.problem.headers["Retry-After"]) <= 60
    assert figures(caller, account) == (92, 0)


def test_of_many_at_once_under_one_key_one_works(app: Flask, secret: str, caller: Caller, account: str) -> None:
    worked: list[str] = []
    gate = Barrier(6)

    def render() -> str:
        gate.wait(30)
        with app.app_context():
            try:
                with charge(account=account, feature="image", key="render") as charged:
                    if charged.replayed:
                        return "replayed"
                    worked.append("once")
                    return "done"
            except AlreadyRunning:
                return "running"

    with ThreadPoolExecutor(6) as pool:
        outcomes = [one.result(60) for one in [pool.submit(render) for _ in range(6)]]
    assert worked == ["once"]
    assert outcomes.count("done") == 1
    assert figures(caller, account) == (92, 0)


def test_of_different_works_at_once_no_more_begin_than_can_be_paid(app: Flask, secret: str, caller: Caller) -> None:
    account = caller.new_account(credits=30)
    gate = Barrier(6)

    def render(number: int) -> bool:
        gate.wait(30)
        with app.app_context():
            try:
                with charge(account=account, amount=10, key=f"render-{number}"):
                    return True
            except OutOfCredits:
                return False

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(render, range(6))) == [False] * 3 + [True] * 3
    assert figures(caller, account) == (0, 0)


def test_missing_credits_are_told_before_the_work_begins(product: Flask, caller: Caller, account: str) -> None:
    with pytest.raises(OutOfCredits) as refused, charge(account=account, feature="image", quantity=20, key="render"):
        pytest.fail("the work began")
    assert (refused.value.required, refused.value.available, refused.value.missing) == (160, 100, 60)
    assert refused.value.buy_url.endswith("/pricing")
    assert figures(caller, account) == (100, 0)
    caller.post("/grants", {"account": account, "amount": 60, "reason": "Bought"})
    with charge(account=account, feature="image", quantity=20, key="render"):
        pass
    assert figures(caller, account) == (0, 0)


def test_what_goes_beyond_the_hold_and_is_not_there_is_named_and_the_rest_is_charged(
    product: Flask, caller: Caller, account: str
) -> None:
    with charge(account=account, amount=90, key="render") as charged:
        charged.amount = 130
    assert figures(caller, account) == (0, 0)
    assert charged.unpaid == 30


def test_work_whose_process_died_is_free_again_when_the_hold_lapses_and_may_be_done_anew(
    fresh_app: Flask, account_in: Callable[[Flask], tuple[Caller, str]]
) -> None:
    caller, account = account_in(fresh_app)
    with fresh_app.app_context():
        charge(account=account, feature="image", key="render", expires_in=60).reserve()  # and nothing ever after
        assert figures(caller, account) == (100, 8)
        pass_time(fresh_app, 61)
        assert figures(caller, account) == (100, 0)
        with charge(account=account, feature="image", key="render", expires_in=60) as charged:
            assert not charged.replayed
    assert figures(caller, account) == (92, 0)


def test_work_that_took_longer_than_its_hold_is_paid_with_what_is_there(
    fresh_app: Flask, account_in: Callable[[Flask], tuple[Caller, str]]
) -> None:
    caller, account = account_in(fresh_app)
    with fresh_app.app_context():
        with charge(account=account, feature="image", quantity=2, key="slow", expires_in=60) as charged:
            pass_time(fresh_app, 61)
        assert figures(caller, account) == (84, 0)
        assert charged.entry_id == newest(caller, account)["id"]
        with charge(account=account, feature="image", quantity=2, key="slow", expires_in=60) as again:
            assert again.replayed
        with charge(account=account, amount=80, key="slower", expires_in=60) as charged:
            pass_time(fresh_app, 61)
            assert caller.spend(account, 64).status_code == 201
        assert charged.unpaid == 60
    assert figures(caller, account) == (0, 0)


def test_two_who_did_the_same_because_the_first_took_too_long_are_charged_once(
    fresh_app: Flask, account_in: Callable[[Flask], tuple[Caller, str]]
) -> None:
    caller, account = account_in(fresh_app)
    with fresh_app.app_context():
        with charge(account=account, feature="image", key="slow", expires_in=60):
            pass_time(fresh_app, 61)
            with charge(account=account, feature="image", key="slow", expires_in=60) as second:
                assert not second.replayed
        assert figures(caller, account) == (92, 0)
        pass_time(fresh_app, 1)
        with charge(account=account, feature="image", key="other", expires_in=60) as first:
            pass_time(fresh_app, 61)
            late = charge(account=account, feature="image", key="other", expires_in=60).reserve()
        assert first.entry is not None
        with late:
            pass
        assert late.replayed
    assert figures(caller, account) == (84, 0)


@pytest.fixture
def account_in() -> Callable[[Flask], tuple[Caller, str]]:
    """Makes an account with 100 credits in an empty application."""

    def make(app: Flask) -> tuple[Caller, str]:
        with app.app_context(), unit_of_work() as session:
            install_shipped_catalog(session)
        caller = Caller(app.test_client(), make_secret(app))
        return caller, caller.new_account(credits=100)

    return make


def test_the_price_is_that_of_the_time_at_which_the_credits_were_reserved(
    fresh_app: Flask, account_in: Callable[[Flask], tuple[Caller, str]]
) -> None:
    caller, account = account_in(fresh_app)
    with fresh_app.app_context():
        with charge(account=account, feature="image", quantity=2, key="render") as charged:
            publish(fresh_app, '[features.image]\nmodel = "per_unit"\ncredits = 9')
            charged.quantity = 3
        assert figures(caller, account) == (76, 0)
        with charge(account=account, feature="image", key="later"):
            pass
    assert figures(caller, account) == (67, 0)


def publish(app: Flask, card: str) -> None:
    with app.app_context(), unit_of_work() as session:
        publish_card(session, prices=read_card(card, features=known_features(session)))
        clock.forget()


TOKENS = """
[features.chat-message]
model = "dimensions"
rounding = "up"
rates = [{ dimension = "input_tokens", credits = 1, unit_size = 100 },
         { dimension = "output_tokens", credits = 3, unit_size = 100 }]
"""


def test_tokens_are_charged_for_when_they_are_known(
    fresh_app: Flask, account_in: Callable[[Flask], tuple[Caller, str]]
) -> None:
    caller, account = account_in(fresh_app)
    publish(fresh_app, TOKENS)
    most = {"input_tokens": 1000, "output_tokens": 2000}
    with fresh_app.app_context():
        with charge(account=account, feature="chat-message", dimensions=most, key="chat") as charged:
            assert charged.cost == 70
            charged.dimensions = {"input_tokens": 400, "output_tokens": 300}
        assert figures(caller, account) == (87, 0)
        with charge(account=account, feature="chat-message", dimensions=most, key="none") as charged:
            charged.dimensions = {"input_tokens": 0}
        assert figures(caller, account) == (87, 0)
        with (
            pytest.raises(ValueError, match="flavour"),
            charge(account=account, feature="chat-message", dimensions=most, key="bad") as charged,
        ):
            charged.dimensions = {"flavour": 2}
    assert figures(caller, account) == (87, 0)


@pytest.mark.parametrize("value", [-1, 1.5, True, "2", None, 10**15 + 1])
@pytest.mark.parametrize("said", ["quantity", "amount"])
def test_what_the_work_came_to_must_be_a_whole_number(
    product: Flask, caller: Caller, account: str, said: str, value: Any
) -> None:
    with pytest.raises(ValueError, match=said), charge(account=account, feature="image", key="render") as charged:
        setattr(charged, said, value)
    assert figures(caller, account) == (100, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": ""},
        {"key": "k" * 201},
        {"key": "a\nb"},
        {"account": "a b"},
        {"quantity": 0},
        {"quantity": True},
        {"amount": 5},
        {"feature": None},
        {"expires_in": 0},
        {"expires_in": 90_000},
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has words of its own
        charge(**{"account": "team", "feature": "image", "key": "render", **wrong})


def test_unknown_accounts_and_features_are_refused_before_the_work(product: Flask, account: str) -> None:
    for asked, code in (
        ({"account": new_name(), "feature": "image"}, "account_not_found"),
        ({"account": account, "feature": "nothing"}, "invalid_request"),
    ):
        with pytest.raises(ChargeRefused) as refused:
            charge(key="render", **asked).reserve()
        assert refused.value.problem.code == code


def test_a_charge_is_entered_once(product: Flask, account: str) -> None:
    once = charge(account=account, feature="image", key="render")
    with once, pytest.raises(RuntimeError), once:
        pass
    with pytest.raises(RuntimeError):
        once.reserve()


def test_nothing_is_open_while_the_work_is_done_and_its_own_session_is_left_alone(product: Flask, account: str) -> None:
    checked_out: list[str] = []
    engine = db.engine
    out = event.listens_for(engine, "checkout")(lambda *_: checked_out.append("out"))
    back = event.listens_for(engine, "checkin")(lambda *_: checked_out.append("in"))
    own: Session = db.session()
    try:
        with charge(account=account, feature="image", key="render"):
            assert checked_out.count("out") == checked_out.count("in") >= 1
            assert not own.in_transaction()
    finally:
        event.remove(engine, "checkout", out)
        event.remove(engine, "checkin", back)
    assert checked_out.count("out") == checked_out.count("in")
    assert not own.in_transaction()


def test_reserving_and_charging_take_few_statements(product: Flask, account: str) -> None:
    with charge(account=account, feature="image", key="warm-up"):
        pass
    with sent_through(db.engine) as sent:
        with charge(account=account, feature="image", key="render"):
            reserved = len(sent)
        settled = len(sent) - reserved
    assert reserved <= 4, sent  # the clock of the sandbox, the key, the price, the hold
    assert settled <= 2, sent


# ---------------------------------------------------------------- the decorator


def test_decorated_work_is_charged_for_by_its_own_arguments(product: Flask, caller: Caller, account: str) -> None:
    @charged_for(
        "image",
        account=lambda team, _job, pictures: team,
        key=lambda _team, job, _pictures: f"render:{job}",
        quantity=lambda _team, _job, pictures: pictures,
    )
    def render(team: str, job: int, pictures: int) -> str:
        """Pictures."""
        return f"{pictures} pictures"

    assert render.__doc__ == "Pictures."
    assert render(account, 1, 2) == "2 pictures"
    assert figures(caller, account) == (84, 0)
    with pytest.raises(AlreadyCharged) as refused:
        render(account, 1, 2)
    assert refused.value.entry == newest(caller, account)["id"]
    with pytest.raises(OutOfCredits):
        render(account, 2, 20)
    assert figures(caller, account) == (84, 0)


def test_decorated_work_that_asks_for_its_charge_can_say_what_it_came_to(
    product: Flask, caller: Caller, account: str
) -> None:
    @charged_for("image", account=account, key="render", quantity=4)
    def render(charged: Any = None) -> int:
        charged.quantity = 1
        return charged.cost

    assert render() == 8
    assert figures(caller, account) == (92, 0)


def test_decorated_work_that_was_charged_before_is_looked_up_instead_of_done(
    product: Flask, caller: Caller, account: str
) -> None:
    stored: dict[str, str] = {}

    @charged_for("image", account=account, key=lambda job: job, on_replay=stored.__getitem__)
    def render(job: str) -> str:
        assert job not in stored
        stored[job] = f"picture of {job}"
        return stored[job]

    assert render("a cat") == render("a cat") == "picture of a cat"
    assert figures(caller, account) == (92, 0)


def test_what_returns_before_its_work_is_done_cannot_be_decorated() -> None:
    around = charged_for("image", account="team", key="render")

    def stream() -> Iterator[str]:
        yield "a"

    async def later() -> None:
        pass

    for work in (stream, later):
        with pytest.raises(TypeError, match="enter charge"):
            around(work)


# ---------------------------------------------------------------- in the product's own views


@pytest.fixture(scope="module")
def visitor(make_app: Callable[..., Flask], servers: Any) -> FlaskClient:
    app = make_app(servers)
    with app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)

    @app.get("/render/<account>/<int:pictures>")
    @charged_for(
        "image", account=lambda account, pictures: account, key="view", quantity=lambda account, pictures: pictures
    )
    def render(account: str, pictures: int) -> str:
        return f"{pictures} pictures"

    @app.get("/answer/<account>/<int:most>")
    def answer(account: str, most: int) -> Response:
        charged = charge(account=account, feature="chat-message", quantity=most, key="stream").reserve()

        def tokens() -> Iterator[str]:
            with charged:
                charged.quantity = 0
                for word in ("one ", "two ", "three "):
                    charged.quantity += 1
                    yield word

        return Response(tokens(), mimetype="text/plain")

    return app.test_client()


def test_a_view_without_the_credits_answers_402_by_what_the_client_accepts(
    visitor: FlaskClient, caller: Caller, account: str
) -> None:
    path = f"/render/{account}/20"
    for accept in (None, "*/*", "application/json", "application/problem+json"):
        response = visitor.get(path, headers={} if accept is None else {"Accept": accept})
        assert response.status_code == 402
        assert response.mimetype == "application/problem+json"
        body = response.get_json()
        assert (body["code"], body["required"], body["available"]) == ("insufficient_credits", 160, 100)
        assert body["buy_url"].endswith("/pricing")
    response = visitor.get(path, headers={"Accept": "text/html,*/*;q=0.8"})
    assert response.status_code == 402
    assert response.mimetype == "text/html"
    assert 'data-required="160"' in response.text
    assert 'data-available="100"' in response.text
    assert re.search(r'href="[^"]+/pricing\?next=(%2F|/)render', response.text)
    assert response.headers["Cache-Control"] == "no-store"
    assert {"Accept", "HX-Request"} <= {one.strip() for one in response.headers["Vary"].split(",")}
    fragment = visitor.get(path, headers={"HX-Request": "true"})
    assert fragment.status_code == 402
    assert "<html" not in fragment.text
    assert 'data-required="160"' in fragment.text
    german = visitor.get(path, headers={"Accept": "application/json", "Accept-Language": "de"})
    assert german.headers["Content-Language"] == "de"
    assert german.get_json()["detail"] != body["detail"]
    assert figures(caller, account) == (100, 0)


def test_a_view_that_can_be_paid_is_charged_once(visitor: FlaskClient, caller: Caller, account: str) -> None:
    assert visitor.get(f"/render/{account}/2").text == "2 pictures"
    again = visitor.get(f"/render/{account}/2")
    assert again.status_code == 409
    assert again.get_json()["code"] == "already_charged"
    assert again.get_json()["entry"] == newest(caller, account)["id"]
    page = visitor.get(f"/render/{account}/2", headers={"Accept": "text/html"})
    assert page.status_code == 409
    assert page.mimetype == "text/html"
    assert figures(caller, account) == (84, 0)


def test_a_stream_is_refused_before_it_begins(visitor: FlaskClient, caller: Caller, account: str) -> None:
    assert visitor.get(f"/answer/{account}/101").status_code == 402
    assert figures(caller, account) == (100, 0)


def test_a_stream_is_charged_for_what_it_came_to(visitor: FlaskClient, caller: Caller, account: str) -> None:
    assert visitor.get(f"/answer/{account}/50").text == "one two three "
    assert figures(caller, account) == (97, 0)


def test_a_stream_whose_reader_leaves_is_charged_for_what_was_read(
    visitor: FlaskClient, caller: Caller, account: str
) -> None:
    response = visitor.get(f"/answer/{account}/50", buffered=False)
    words = response.iter_encoded()
    assert next(words) == b"one "
    assert figures(caller, account) == (100, 50)
    response.close()
    assert figures(caller, account) == (99, 0)
