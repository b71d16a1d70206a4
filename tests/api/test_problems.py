"""Problems, their language, and the document that describes it all."""

import json
import re
from typing import Any

import pytest
from flask import Flask

from tests.api.conftest import Caller, assert_problem
from webapp.api import ENDPOINTS


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        (None, "en"),
        ("de", "de"),
        ("de-AT, en;q=0.5", "de"),
        ("ar-EG", "ar"),
        ("it, de;q=0.3", "de"),
        ("xx", "en"),
        ("*", "en"),
        (";;;,q=", "en"),
        ("../../etc", "en"),
        ("de;q=0", "en"),
        ("x" * 5000, "en"),
    ],
)
def test_a_problem_is_in_the_best_of_our_languages(caller: Caller, wanted: str | None, given: str) -> None:
    answer = caller.get("/accounts/nobody-here", headers={"Accept-Language": wanted})
    assert_problem(answer, 404, "account_not_found")
    assert answer.headers["Content-Language"] == given
    assert "Accept-Language" in answer.headers["Vary"]
    outside = caller.get("/nothing", headers={"Accept-Language": wanted})
    assert_problem(outside, 404, "not_found")
    assert outside.headers["Content-Language"] == given


def test_the_language_of_a_page_has_no_say(app: Flask, secret: str) -> None:
    client = app.test_client()
    client.set_cookie("locale", "de")
    answer = Caller(client, secret).get("/nothing")
    assert answer.headers["Content-Language"] == "en"


def test_a_problem_names_the_request_as_the_header_does(caller: Caller) -> None:
    for path in ("/nothing", "/accounts/nobody-here"):
        answer = caller.get(path)
        assert answer.get_json()["request_id"] == answer.headers["X-Request-Id"]


def test_a_problem_has_a_type_of_its_own(caller: Caller) -> None:
    assert caller.get("/nothing").get_json()["type"] == "urn:tallystick:problem:not_found"


def test_a_host_that_is_not_ours_is_refused(caller: Caller) -> None:
    answer = caller.get("/packages", headers={"Host": "evil.example"})
    assert answer.status_code == 400


@pytest.mark.parametrize("path", ["/packages", "/plans", "/features"])
def test_the_catalog_is_told_in_the_language_asked_for(caller: Caller, path: str) -> None:
    answer = caller.get(path, headers={"Accept-Language": "de"})
    assert answer.status_code == 200
    assert answer.headers["Content-Language"] == "de"
    data = answer.get_json()["data"]
    assert data
    assert all(one["name"] for one in data)


def test_the_shipped_packages_plans_and_features_are_there(caller: Caller) -> None:
    def codes(path: str, name: str) -> set[str]:
        return {one[name] for one in caller.get(path).get_json()["data"]}

    assert codes("/packages", "code") >= {"starter", "standard", "premium", "enterprise"}
    assert codes("/plans", "code") >= {"free", "pro", "pro-yearly", "lifetime"}
    assert codes("/features", "feature") >= {"chat-message", "image", "api-call", "export"}
    starter = next(one for one in caller.get("/packages").get_json()["data"] if one["code"] == "starter")
    assert starter["credits"] == 500
    assert {price["currency"] for price in starter["prices"]} >= {"EUR", "USD"}


def document(app: Flask) -> dict[str, Any]:
    answer = app.test_client().get("/api/v1/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.get_json()
    return found


def test_the_openapi_document_has_every_endpoint_and_nothing_else(app: Flask) -> None:
    spec = document(app)
    assert spec["openapi"].startswith("3.")
    assert spec["servers"] == [{"url": app.config["SETTINGS"].base_url}]
    described = {(method.upper(), path) for path, methods in spec["paths"].items() for method in methods}
    served = {
        (method, re.sub(r"<(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("api.")
        for method in rule.methods or ()
        if method not in ("HEAD", "OPTIONS")
    }
    assert described == served
    assert len(described) == len(ENDPOINTS)


def test_every_reference_of_the_openapi_document_leads_somewhere(app: Flask) -> None:
    spec = document(app)
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(spec)):
        found: Any = spec
        for part in reference.split("/"):
            found = found[part]
    for methods in spec["paths"].values():
        for method, operation in methods.items():
            assert operation["summary"]
            needs_key = any(one["name"] == "Idempotency-Key" for one in operation["parameters"])
            by_itself = operation["operationId"] in (
                "create_estimate",
                "create_spends",
                "queue_usage",
                "create_balance_fragment",
            )
            assert needs_key == (method != "get" and not by_itself)


def test_answers_have_the_members_that_the_document_says(app: Flask, caller: Caller) -> None:
    schemas = document(app)["components"]["schemas"]
    name = caller.new_account(credits=10)
    for path, schema in (
        (f"/accounts/{name}", "AccountAnswer"),
        (f"/accounts/{name}/balance", "BalanceAtAnswer"),
        (f"/accounts/{name}/entries", "EntriesAnswer"),
        (f"/entries/{name}:1", "ExplainedEntryAnswer"),
    ):
        assert caller.get(path).get_json().keys() == set(schemas[schema]["required"])
