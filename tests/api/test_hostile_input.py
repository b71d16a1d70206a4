"""Whatever is sent: a refusal that names what is wrong, nothing written, and never a 500."""

import json
from io import BytesIO
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from tests.api.conftest import Caller, assert_problem

DEEP = 100_000


@pytest.fixture(scope="module")
def account(app: Any, secret: str) -> str:
    return Caller(app.test_client(), secret).new_account(credits=1000)


def raw_spend(account: str, amount: str) -> bytes:
    return f'{{"account": "{account}", "amount": {amount}, "description": "x"}}'.encode()


@pytest.mark.parametrize(
    "amount",
    ["0", "-1", "-0", "true", "false", "null", "1.0", "1.5", '"1"', "1e3", "1E0", "[1]", "{}", '""',
     "1000000000000001", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "9" * 400, "9" * 5000],
)  # fmt: skip
def test_an_amount_is_a_json_integer_from_1_to_10_to_the_15(caller: Caller, account: str, amount: str) -> None:
    answer = caller.post("/spends", raw_spend(account, amount))
    problem = assert_problem(answer, 400, "invalid_request")
    assert problem.get("field") in ("amount", "feature", None)
    assert caller.balance(account) == 1000


@pytest.mark.parametrize(
    "amount", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e-999", "01", "+1", "0x10", "١"]
)
def test_what_is_no_json_number_is_refused(caller: Caller, account: str, amount: str) -> None:
    assert_problem(caller.post("/spends", raw_spend(account, amount)), 400, "invalid_request")
    metadata = f'{{"account": "{account}", "amount": 1, "description": "x", "metadata": {{"a": {amount}}}}}'
    assert_problem(caller.post("/spends", metadata.encode()), 400, "invalid_request")
    assert caller.balance(account) == 1000


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"null", b"1", b'"x"', b"[]", b"[{}]", b"{", b"}", b"{}}", b"{} {}", b"{,}", b'{"a":1,}', b"{'a':1}",
        b'{"a":1 // c\n}', b'{"a":"\x01"}', b'{"a":"\n"}', b'{"a":"\\x41"}', b'{"a":"\\u12"}', b"\xef\xbb\xbf{}",
        b"\xff\xfe{\x00}\x00", b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xc0\x80"}', b"\x00", b"{\x00}",
        b"[" * DEEP, b'{"a":' * DEEP, b"[" * DEEP + b"]" * DEEP, b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    ],
)  # fmt: skip
def test_a_body_that_is_no_json_object_is_refused(caller: Caller, body: bytes) -> None:
    for method, path in (
        ("POST", "/spends"),
        ("POST", "/grants"),
        ("POST", "/estimates"),
        ("POST", "/spends/x:1/refund"),
        ("POST", "/spends/batch"),
        ("POST", "/holds"),
        ("POST", "/checkout-sessions"),
    ):
        assert_problem(caller.call(method, path, body), 400, "invalid_request")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"account":"%s","amount":1,"amount":1,"description":"x"}', "amount"),
        ('{"account":"%s","account":"b","amount":1,"description":"x"}', "account"),
        ('{"account":"%s","amount":1,"description":"x","metadata":{"a":1,"\\u0061":2}}', "a"),
        ('{"account":"%s","amount":1,"description":"\\u0000"}', "description"),
        ('{"account":"%s","amount":1,"description":"\\ud800"}', "description"),
        ('{"account":"%s","amount":1,"description":"\\udc00\\ud800"}', "description"),
        ('{"account":"%s","amount":1,"description":"x","metadata":{"a":["\\u0000"]}}', "metadata"),
        ('{"account":"%s","amount":1,"description":"x","metadata":{"\\u0000":1}}', "metadata"),
        ('{"account":"%s","amount":1,"description":"x","metadata":{"\\udfff":1}}', "metadata"),
        ('{"account":"%s","amount":1,"description":"x","reference":"\\u0000"}', "reference"),
        ('{"account":"%s","amount":1,"description":"x","\\u0000":1}', "�"),
    ],
)
def test_what_readers_or_tables_would_trip_over_is_refused_naming_it(
    caller: Caller, account: str, body: str, field: str
) -> None:
    answer = caller.post("/spends", (body % account).encode())
    assert_problem(answer, 400, "invalid_request", field=field)
    assert caller.balance(account) == 1000


def test_nesting_up_to_32_levels_is_read_and_33_refused(caller: Caller) -> None:
    name = caller.new_account(credits=10)

    def nested(levels: int) -> dict[str, Any]:
        value: Any = 1
        for _ in range(levels):
            value = [value]
        return {"account": name, "amount": 1, "description": "[[[[{{{{" * 9, "metadata": {"a": value}}

    assert caller.post("/spends", nested(30)).status_code == 201
    problem = assert_problem(caller.post("/spends", nested(31)), 400, "invalid_request")
    assert "32" in problem["detail"]
    assert caller.balance(name) == 9


@pytest.mark.parametrize(
    "content_type",
    [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/xml", "text/json",
     "application/json; charset=latin-1", "application/json; charset=utf-16", "application/jsonp", "x"],
)  # fmt: skip
def test_a_body_of_another_type_is_refused(caller: Caller, account: str, content_type: str | None) -> None:
    answer = caller.post("/spends", raw_spend(account, "1"), content_type=content_type)
    assert_problem(answer, 415, "unsupported_media_type")
    assert caller.balance(account) == 1000


def test_a_compressed_body_is_refused(caller: Caller, account: str) -> None:
    answer = caller.post("/spends", raw_spend(account, "1"), headers={"Content-Encoding": "gzip"})
    assert_problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_by_any_spelling_of_its_type_is_read(caller: Caller, content_type: str) -> None:
    name = caller.new_account(credits=1)
    assert caller.post("/spends", raw_spend(name, "1"), content_type=content_type).status_code == 201


def test_a_body_that_is_too_large_is_refused(caller: Caller, account: str) -> None:
    for size in (1_048_500, 2_000_000):
        body = {"account": account, "amount": 1, "description": "x", "metadata": {"x": "y" * size}}
        assert_problem(caller.post("/spends", body), 413, "too_large")
    assert caller.balance(account) == 1000


def test_a_body_in_chunks_is_read_and_limited_too(caller: Caller) -> None:
    name = caller.new_account(credits=10)

    def post(body: bytes) -> TestResponse:
        chunked = {"wsgi.input": BytesIO(body), "wsgi.input_terminated": True, "CONTENT_TYPE": "application/json"}
        return caller.call("POST", "/spends", headers={"Transfer-Encoding": "chunked"}, environ_overrides=chunked)

    assert post(raw_spend(name, "1")).status_code == 201
    assert_problem(post(raw_spend(name, "1") + b" " * 2_000_000), 413, "too_large")
    assert caller.balance(name) == 9


def test_several_mistakes_are_all_named_and_the_first_is_the_field(caller: Caller) -> None:
    problem = assert_problem(caller.post("/grants", {"amount": 0, "reson": "x"}), 400, "invalid_request")
    assert {error["field"] for error in problem["errors"]} == {"account", "amount", "reason", "reson"}
    assert problem["field"] == problem["errors"][0]["field"]
    assert problem["detail"] == problem["errors"][0]["detail"]


def test_names_with_markup_percent_and_bidi_come_back_as_they_were(caller: Caller) -> None:
    name = caller.new_account(credits=10)
    text = "%(x)s %s {0} <script> \"'& \u202e \U0001f4a9 ' OR 1=1 -- \\"
    entry = caller.spend(name, 1, description=text, reference=text, metadata={text: text}).get_json()
    assert (entry["description"], entry["reference"], entry["metadata"]) == (text, text, {text: text})
    problem = assert_problem(caller.post("/spends", {text: 1}), 400, "invalid_request")
    assert any(error["field"].startswith("%(x)s") for error in problem["errors"])


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "PATCH", "DELETE", "PROPFIND"])
@pytest.mark.parametrize(
    "path",
    ["/", "/spends", "/spends/", "/spends/x/refund/y", "/accounts", "/accounts/", "/accounts//", "/accounts/a/b/c",
     "/holds", "/holds/1/capture", "/spends/batch", "/checkout-sessions", "/../../etc/passwd", "/%2e%2e/x", "/%00",
     "/\u202e", "/" + "x" * 5000, "/entries/", "/packages/x", "/.git/config", "//evil.example/x"],
)  # fmt: skip
def test_no_path_and_no_method_is_a_500_or_a_page(caller: Caller, method: str, path: str) -> None:
    answer = caller.call(method, path)
    assert 300 <= answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.mimetype == "application/problem+json"


def test_a_method_that_an_address_does_not_know_is_refused_naming_those_it_knows(caller: Caller) -> None:
    answer = caller.call("DELETE", "/spends")
    assert_problem(answer, 405, "method_not_allowed")
    assert "POST" in answer.headers["Allow"]


_WRITES = (
    *("/spends", "/spends/batch", "/spends/{}:1/refund", "/holds", "/holds/{}:h1/capture", "/holds/{}:h2/void"),
    *("/grants", "/estimates", "/accounts/{}", "/checkout-sessions"),
)
_READS = ("/accounts/{}/entries", "/accounts/{}/balance", "/accounts/{}/holds", "/accounts/{}", "/packages")
_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text() | st.datetimes().map(str)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_names = st.sampled_from(
    ["amount", "feature", "quantity", "description", "partial", "reference", "metadata", "occurred_at", "dimensions",
     "reason", "expires_at", "priority", "features", "source_key", "name", "kind", "time_zone", "overdraft_limit", "x",
     "expires_in", "allow_excess", "items", "idempotency_key", "package", "plan", "currency", "success_url",
     "cancel_url"]
)  # fmt: skip


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    where=st.sampled_from(_WRITES),
    members=st.dictionaries(_names, _values, max_size=5),
    with_account=st.booleans(),
    key=st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), min_size=1, max_size=20),
)
def test_no_json_is_a_500(
    caller: Caller, account: str, where: str, members: dict[str, Any], with_account: bool, key: str
) -> None:
    body = {**members, **({"account": account} if with_account and "{}" not in where else {})}
    path, method = where.format(account), "PUT" if "accounts" in where else "POST"
    raw = json.dumps(body).encode()
    answer = caller.call(method, path, raw, key=key)
    assert answer.status_code < 500, (method, path, body, answer.text)
    assert answer.is_json or answer.mimetype == "application/problem+json"


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(items=st.lists(_values | st.dictionaries(_names, _values, max_size=5), min_size=1, max_size=5))
def test_no_item_of_a_batch_is_a_500_and_none_harms_the_last(caller: Caller, account: str, items: list[Any]) -> None:
    good = {"account": account, "amount": 10**15, "description": "x", "idempotency_key": "never"}
    answer = caller.post("/spends/batch", json.dumps({"items": [*items, good]}).encode())
    assert answer.status_code == 200, answer.text
    results = answer.get_json()["results"]
    assert [result["status"] for result in results][-1] == 402
    assert all(result["status"] < 500 for result in results)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    raw=st.binary(max_size=200) | st.text(max_size=200).map(lambda written: written.encode("utf-8", "surrogatepass"))
)
def test_no_bytes_are_a_500(caller: Caller, raw: bytes) -> None:
    assert caller.post("/spends", raw).status_code == 400


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    name=st.sampled_from(["limit", "cursor", "kind", "feature", "from", "to", "at"]) | st.text(max_size=10),
    value=st.text(max_size=30) | st.integers().map(str) | st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    where=st.sampled_from(_READS),
)
def test_no_query_is_a_500(caller: Caller, account: str, name: str, value: str, where: str) -> None:
    try:
        query = {name.encode().decode(): value.encode().decode()}
    except UnicodeEncodeError:
        return
    assert caller.get(where.format(account), query_string=query).status_code in (200, 400)
