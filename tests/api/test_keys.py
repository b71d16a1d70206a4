"""Who may call, for what, from where, until when."""

import hashlib
import re
from collections.abc import Callable
from datetime import timedelta

import psycopg
import pytest
from flask import Flask

from tests.api.conftest import Caller, assert_problem, make_secret, new_name
from tests.conftest import TestServers
from tests.docs.pages import ROOT
from webapp import clock
from webapp.api import keys
from webapp.api.keys import SCOPES
from webapp.database import unit_of_work

STRIPE = {
    "STRIPE_SECRET_KEY": "sk_test_" + "x" * 24,
    "STRIPE_WEBHOOK_SECRET": "whsec_" + "x" * 24,
    "SECRET_KEY": "s" * 40,
    "LEDGER_SEAL_KEY": "l" * 40,
    "BASE_URL": "http://localhost",
}


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic dXNlcjpwdw==", "tsk_sandbox_demo", "Bearer tsk_live_nope", "Bearer \u00fc",
     "Bearer " + "x" * 5000, "Bearer tsk_sandbox_x y", "Bearer ' OR 1=1 --", "Bearer tsk_sandbox_\x00"],
)  # fmt: skip
def test_without_a_valid_key_nothing_is_answered(caller: Caller, header: str | None) -> None:
    for method, path in (("GET", "/packages"), ("GET", "/accounts/a"), ("POST", "/spends"), ("PUT", "/accounts/a")):
        answer = caller.call(method, path, headers={"Authorization": header})
        assert_problem(answer, 401, "unauthorized")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_of_the_header_may_be_written_in_any_case(caller: Caller, secret: str, scheme: str) -> None:
    assert caller.get("/packages", headers={"Authorization": f"{scheme} {secret}"}).status_code == 200


def test_a_cookie_is_never_honoured(app: Flask, secret: str) -> None:
    client = app.test_client()
    client.set_cookie("Authorization", f"Bearer {secret}")
    client.set_cookie("tallystick", secret)
    assert client.get("/api/v1/packages").status_code == 401
    answer = Caller(app.test_client(), secret).get("/packages")
    assert "Set-Cookie" not in answer.headers
    assert not any(name.startswith("Access-Control") for name, _ in answer.headers)


@pytest.mark.parametrize("scope", SCOPES)
def test_each_call_needs_its_scope_and_no_other(caller: Caller, caller_with: Callable[..., Caller], scope: str) -> None:
    name = caller.new_account(credits=100)
    spend = caller.spend(name, 1).get_json()["id"]
    calls = [
        ("PUT", f"/accounts/{name}", {}, {"accounts:write"}),
        ("GET", f"/accounts/{name}", None, {"accounts:read"}),
        ("GET", f"/accounts/{name}/entries", None, {"accounts:read"}),
        ("GET", f"/accounts/{name}/balance", None, {"accounts:read"}),
        ("GET", f"/entries/{spend}", None, {"accounts:read"}),
        ("POST", "/spends", {"account": name, "amount": 1, "description": "x"}, {"credits:spend"}),
        ("POST", f"/spends/{spend}/refund", {"reason": "x"}, {"credits:spend"}),
        ("POST", "/grants", {"account": name, "amount": 1, "reason": "x"}, {"credits:grant"}),
        ("POST", "/estimates", {"account": name, "feature": "image"}, {"credits:spend", "accounts:read"}),
        ("GET", "/packages", None, set(SCOPES)),
    ]
    limited = caller_with(scopes=[scope])
    for method, path, body, needed in calls:
        answer = limited.call(method, path, body)
        if scope in needed:
            assert answer.status_code in (200, 201), answer.text
        else:
            problem = assert_problem(answer, 403, "missing_scope")
            assert problem["scope"] in needed


def test_a_missing_scope_changes_nothing(caller: Caller, caller_with: Callable[..., Caller]) -> None:
    name = new_name()
    assert caller_with(scopes=["accounts:read"]).put(f"/accounts/{name}", {}).status_code == 403
    assert caller.get(f"/accounts/{name}").status_code == 404


def test_a_key_ends_when_it_expires(app: Flask) -> None:
    secret = make_secret(app, expires_at=clock.now() + timedelta(hours=1))
    assert Caller(app.test_client(), secret).get("/packages").status_code == 200
    ended = make_secret(app, expires_at=clock.now())
    assert_problem(Caller(app.test_client(), ended).get("/packages"), 401, "unauthorized")


def test_a_revoked_key_is_refused_from_the_next_request_on(app: Flask) -> None:
    secret = make_secret(app)
    caller = Caller(app.test_client(), secret)
    assert caller.get("/packages").status_code == 200
    with app.app_context(), unit_of_work() as session:
        keys.revoke_key(session, key=keys.find_key(session, prefix_or_id=secret[:20]))
    assert_problem(caller.get("/packages"), 401, "unauthorized")


@pytest.mark.parametrize(
    ("ranges", "address", "works"),
    [
        (["10.0.0.0/8"], "10.1.2.3", True),
        (["10.0.0.0/8"], "11.1.2.3", False),
        (["10.0.0.0/8"], "::ffff:10.1.2.3", True),
        (["10.0.0.1", "2001:db8::/32"], "2001:db8::1", True),
        (["10.0.0.1", "2001:db8::/32"], "10.0.0.2", False),
        (["10.0.0.0/8"], "", False),
        ([], "203.0.113.9", True),
    ],
)
def test_a_key_may_be_limited_to_addresses(app: Flask, ranges: list[str], address: str, works: bool) -> None:
    caller = Caller(app.test_client(), make_secret(app, ip_ranges=ranges))
    answer = caller.get("/packages", environ_base={"REMOTE_ADDR": address})
    if works:
        assert answer.status_code == 200
    else:
        assert_problem(answer, 403, "address_not_allowed")


def test_a_forwarded_address_counts_only_behind_as_many_proxies_as_are_configured(
    make_app: Callable[..., Flask], servers: TestServers, app: Flask
) -> None:
    secret = make_secret(app, ip_ranges=["10.0.0.0/8"])
    forwarded = {"X-Forwarded-For": "10.1.2.3"}
    assert Caller(app.test_client(), secret).get("/packages", headers=forwarded).status_code == 403
    behind_one = make_app(servers, PROXIES="1")
    assert Caller(behind_one.test_client(), secret).get("/packages", headers=forwarded).status_code == 200


def test_a_key_is_stored_hashed_and_says_when_it_was_used(
    app: Flask, owner_connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = make_secret(app)
    query = "SELECT to_jsonb(k)::text, last_used_at FROM api_keys k WHERE secret_hash = sha256(%s)"
    row = owner_connection.execute(query, [secret.encode()]).fetchone()
    assert row is not None
    assert secret not in row[0]
    assert hashlib.sha256(secret.encode()).hexdigest() in row[0]
    assert row[1] is None
    caller = Caller(app.test_client(), secret)
    used = []
    for ahead in (0, 30, 61):
        moment = clock.now() + timedelta(seconds=ahead)
        monkeypatch.setattr("webapp.api.authentication.clock.now", lambda moment=moment: moment)
        caller.get("/packages")
        monkeypatch.undo()
        row = owner_connection.execute(query, [secret.encode()]).fetchone()
        assert row is not None
        used.append(row[1])
    assert used[0] == used[1]
    assert used[2] - used[1] > timedelta(seconds=60)


def test_keys_of_the_sandbox_are_refused_outside_of_it(
    make_app: Callable[..., Flask], servers: TestServers, app: Flask, secret: str
) -> None:
    with app.app_context(), unit_of_work() as session:
        keys.install_demo_key(session)
        keys.install_demo_key(session)
    assert Caller(app.test_client(), keys.DEMO_KEY).get("/packages").status_code == 200
    outside = make_app(servers, **STRIPE)
    for sandbox_key in (keys.DEMO_KEY, secret):
        assert_problem(Caller(outside.test_client(), sandbox_key).get("/packages"), 401, "unauthorized")
    with outside.app_context(), pytest.raises(RuntimeError), unit_of_work() as session:
        keys.install_demo_key(session)
    live = make_secret(app, sandbox=False)
    assert live.startswith("tsk_live_")
    assert Caller(outside.test_client(), live).get("/packages").status_code == 200


def test_secret_scanners_find_every_key_by_the_expression_of_the_guide(app: Flask) -> None:
    guide = (ROOT / "docs/integrator.md").read_text()
    expression = re.search(r"`(\\btsk_.*?)`", guide)
    assert expression is not None
    for sandbox in (True, False):
        secret = make_secret(app, sandbox=sandbox)
        found = re.search(expression[1], f'KEY = "{secret}"')
        assert found is not None
        assert found[0] == secret


def test_the_command_line_makes_lists_rotates_and_revokes_keys(app: Flask) -> None:
    run = app.test_cli_runner().invoke
    made = run(args=["api-key", "create", "--scopes", "accounts:read,credits:spend", "--expires", "90d",
                     "--ip", "127.0.0.0/8", "--ip", "::1", "--name", "Shop"])  # fmt: skip
    assert made.exit_code == 0, made.output
    secret = made.stdout.strip()
    assert secret.startswith("tsk_sandbox_")
    caller = Caller(app.test_client(), secret)
    assert caller.get(f"/accounts/{new_name()}").status_code == 404
    assert caller.put(f"/accounts/{new_name()}").status_code == 403
    prefix = secret[:20]
    listed = run(args=["api-key", "list"])
    line = next(line for line in listed.stdout.splitlines() if prefix in line)
    assert secret not in listed.stdout
    for part in ("Shop", "accounts:read credits:spend", "127.0.0.0/8 ::1/128", "used ", "until "):
        assert part in line, line
    rotated = run(args=["api-key", "rotate", prefix, "--overlap", "1h"])
    successor = Caller(app.test_client(), rotated.stdout.strip())
    assert successor.secret != secret
    assert {caller.get("/packages").status_code, successor.get("/packages").status_code} == {200}
    assert run(args=["api-key", "revoke", prefix]).exit_code == 0
    assert (caller.get("/packages").status_code, successor.get("/packages").status_code) == (401, 200)
    assert run(args=["api-key", "revoke", rotated.stdout.strip()]).exit_code == 0
    assert successor.get("/packages").status_code == 401


@pytest.mark.parametrize(
    ("written", "end"),
    [
        ("2099-01-31", "until 2099-01-31 00:00"),
        ("2099-01-31T18:00:00Z", "until 2099-01-31 18:00"),
        ("2099-01-31T18:00:00+02:00", "until 2099-01-31 16:00"),
    ],
)
def test_a_key_may_end_on_a_date(app: Flask, written: str, end: str) -> None:
    run = app.test_cli_runner().invoke
    secret = run(args=["api-key", "create", "--scopes", "accounts:read", "--expires", written]).stdout.strip()
    assert Caller(app.test_client(), secret).get("/packages").status_code == 200
    listed = run(args=["api-key", "list"]).stdout
    assert end in next(line for line in listed.splitlines() if secret[:20] in line)


@pytest.mark.parametrize(
    "args",
    [
        ["create"],
        ["create", "--scopes", ""],
        ["create", "--scopes", "accounts:everything"],
        ["create", "--scopes", "accounts:read", "--expires", "soon"],
        ["create", "--scopes", "accounts:read", "--expires", "-1d"],
        ["create", "--scopes", "accounts:read", "--expires", "2020-01-01"],
        ["create", "--scopes", "accounts:read", "--expires", "2027-02-30"],
        ["create", "--scopes", "accounts:read", "--ip", "300.1.2.3"],
        ["create", "--scopes", "accounts:read", "--rate", "0"],
        ["revoke", "tsk_sandbox_nope"],
        ["revoke", "999999999"],
        ["revoke", "%"],
        ["revoke", ""],
    ],
)
def test_the_command_line_refuses_what_makes_no_sense(app: Flask, secret: str, args: list[str]) -> None:
    result = app.test_cli_runner().invoke(args=["api-key", *args])
    assert result.exit_code != 0
    assert not isinstance(result.exception, Exception), result.exception
    assert "Traceback" not in result.output


def test_duplicate_and_whole_scopes_are_understood(app: Flask) -> None:
    made = app.test_cli_runner().invoke(args=["api-key", "create", "--scopes", "all"])
    with app.app_context(), unit_of_work() as session:
        assert keys.find_key(session, prefix_or_id=made.stdout.strip()).scopes == list(SCOPES)
    made = app.test_cli_runner().invoke(
        args=["api-key", "create", "--scopes", "accounts:read accounts:read", "--scopes", "credits:spend"]
    )
    with app.app_context(), unit_of_work() as session:
        assert keys.find_key(session, prefix_or_id=made.stdout.strip()).scopes == ["accounts:read", "credits:spend"]
