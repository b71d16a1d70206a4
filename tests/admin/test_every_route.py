"""Every route of the admin pages, each with who may use it: one that this table does not know fails.

Owners may use all of them. Whoever may not learns no more than from a page that isn't there.
"""

from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from flask import Flask
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from tests.credits.member import Member
from tests.people.browser import Browser
from webapp.people.roles import roles_of
from webapp.people.user import ROLES

# path | methods | roles besides the owner's
TABLE = """
/admin | GET | finance support translator
/admin/accounts | GET | finance support
/admin/accounts.csv | GET | finance support
/admin/accounts/<number:account_id> | GET | finance support
/admin/accounts/<number:account_id>/deduct | GET POST | finance
/admin/accounts/<number:account_id>/entries/<number:seq> | GET | finance support
/admin/accounts/<number:account_id>/entries/<number:seq>/refund | GET POST | finance support
/admin/accounts/<number:account_id>/grant | GET POST | finance support
/admin/accounts/<number:account_id>/grants/<number:grant_id>/freeze | GET POST | finance
/admin/accounts/<number:account_id>/grants/<number:grant_id>/take-back | GET POST | finance
/admin/accounts/<number:account_id>/grants/<number:grant_id>/unfreeze | GET POST | finance
/admin/accounts/<number:account_id>/holds/<number:number>/void | GET POST | finance support
/admin/accounts/<number:account_id>/overdraft | GET POST | finance
/admin/accounts/<number:account_id>/resume | GET POST | finance
/admin/accounts/<number:account_id>/see-as | GET POST | finance support
/admin/accounts/<number:account_id>/suspend | GET POST | finance
/admin/approvals | GET | finance support
/admin/approvals.csv | GET | finance support
/admin/approvals/<number:approval_id> | GET POST | finance support
/admin/audit-log | GET | finance
/admin/audit-log.csv | GET | finance
/admin/audit-log/<number:line_id> | GET | finance
/admin/bulk | GET POST | finance
/admin/bulk.csv | GET | finance
/admin/bulk/<number:run_id> | GET POST | finance
/admin/bulk/<number:run_id>/drop | POST | finance
/admin/bulk/<number:run_id>/lines | GET | finance
/admin/bulk/<number:run_id>/lines.csv | GET | finance
/admin/bulk/<number:run_id>/progress | GET | finance
/admin/bulk/<number:run_id>/stop | POST | finance
/admin/campaigns | GET | finance
/admin/campaigns.csv | GET | finance
/admin/campaigns/<code>/details | GET POST | finance
/admin/campaigns/new | GET POST | finance
/admin/campaigns/sign-up | GET POST | finance
/admin/disputes | GET | finance
/admin/disputes.csv | GET | finance
/admin/events | GET | finance
/admin/events.csv | GET | finance
/admin/events/<stripe:event_id> | GET | finance
/admin/events/<stripe:event_id>/replay | POST | finance
/admin/features | GET | finance
/admin/features/<key>/ceilings | POST | finance
/admin/features/<key>/ceilings/remove | POST | finance
/admin/features/<key>/edit | GET POST | finance
/admin/features/<key>/move | POST | finance
/admin/features/new | GET POST | finance
/admin/invoices | GET | finance support
/admin/invoices.csv | GET | finance support
/admin/jobs | GET | finance
/admin/jobs/failed/<job:job_id> | GET | finance
/admin/jobs/failed/<job:job_id>/retry | POST | finance
/admin/jobs/failed/retry | POST | finance
/admin/jobs/now | GET | finance
/admin/jobs/outbox | GET | finance
/admin/jobs/outbox.csv | GET | finance
/admin/jobs/outbox/<number:row_id> | GET | finance
/admin/jobs/outbox/<number:row_id>/replay | POST | finance
/admin/jobs/outbox/replay | POST | finance
/admin/jobs/periodic/<name>/run | POST | finance
/admin/jobs/runs | GET | finance
/admin/jobs/runs.csv | GET | finance
/admin/orders | GET | finance support
/admin/orders.csv | GET | finance support
/admin/overview | GET | finance support
/admin/packages | GET | finance
/admin/packages.csv | GET | finance
/admin/packages/<code>/edit | GET POST | finance
/admin/packages/<code>/move | POST | finance
/admin/packages/<code>/sale | POST | finance
/admin/packages/new | GET POST | finance
/admin/payments/<stripe:payment_intent_id> | GET | finance support
/admin/payments/<stripe:payment_intent_id>/refund | GET POST | finance
/admin/people | GET POST | owner
/admin/plans | GET | finance
/admin/plans.csv | GET | finance
/admin/plans/<code>/edit | GET POST | finance
/admin/plans/<code>/move | POST | finance
/admin/plans/<code>/sale | POST | finance
/admin/plans/new | GET POST | finance
/admin/proof | GET | finance
/admin/proof.json | GET | finance
/admin/proof/run | GET POST | finance
/admin/purchases | GET | finance support
/admin/purchases.csv | GET | finance support
/admin/purchases/<number:purchase_id> | GET | finance support
/admin/purchases/<number:purchase_id>/refund | GET POST | finance
/admin/rate-card | GET | finance
/admin/rate-card/draft | GET | finance
/admin/rate-card/draft.toml | GET | finance
/admin/rate-card/draft/discard | POST | finance
/admin/rate-card/draft/preview | GET POST | finance
/admin/rate-card/draft/publish | GET POST | finance
/admin/rate-card/draft/rates/<key> | GET POST | finance
/admin/rate-card/draft/start | POST | finance
/admin/rate-card/draft/text | GET POST | finance
/admin/rate-card/versions | GET | finance
/admin/rate-card/versions.csv | GET | finance
/admin/rate-card/versions/<number:version> | GET | finance
/admin/rate-card/versions/<number:version>.toml | GET | finance
/admin/reports | GET | finance
/admin/reports/<table>.csv | GET | finance
/admin/reports/journal.csv | GET | finance
/admin/search | GET | finance support
/admin/see-as/stop | POST | finance support
/admin/subscriptions | GET | finance support
/admin/subscriptions.csv | GET | finance support
/admin/subscriptions/<number:subscription_id> | GET | finance support
/admin/translations | GET | translator
/admin/translations/<tag>/<domain> | POST | translator
/admin/translations/<tag>/<domain>.po | GET | translator
/admin/translations/collect | POST | translator
/admin/translations/pseudo | POST | translator
"""
ALLOWED = {
    (path, method): frozenset({"owner", *roles.split()})
    for path, methods, roles in (line.split(" | ") for line in TABLE.strip().splitlines())
    for method in methods.split()
}
# What there is to see only once somebody has begun it.
EMPTY = {"/admin/proof.json", "/admin/rate-card/draft.toml"}
# As parts of a path: numbers out of bounds, and texts that no column or key can hold.
NUMBERS = ("0", "-1", str(2**63 - 1), str(2**63), "9" * 400)
TEXTS = ("x", "\0", "' é", "..", "<img>", "x" * 3_000)


def rules(app: Flask) -> Iterator[tuple[Rule, str]]:
    for rule in app.url_map.iter_rules():
        if f"{rule}/".startswith("/admin/"):
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield rule, method


def filled(rule: Rule, value: str) -> str:
    """The rule's path with that value in each of its places."""
    parts = (quote(value, safe="") if is_dynamic else part for is_dynamic, part in rule._trace)
    return "".join(parts).lstrip("|")


def plausible(rule: Rule) -> str:
    """A path that the rule matches."""
    path = "".join(_example(rule, part) if is_dynamic else part for is_dynamic, part in rule._trace)
    return path.lstrip("|")


def _example(rule: Rule, name: str) -> str:
    kind = type(rule._converters[name]).__name__
    return {"Number": "1", "StripeId": "pi_1"}.get(kind, "x")


def test_the_table_knows_every_route(shop: Flask) -> None:
    known = {(str(rule), method) for rule, method in rules(shop)}
    assert known - set(ALLOWED) == set(), "add a row for each, with the roles that it is meant for"
    assert set(ALLOWED) - known == set(), "these are gone"


def test_every_view_is_open_to_whom_the_table_says(shop: Flask) -> None:
    says = {(str(rule), method): roles_of(shop.view_functions[rule.endpoint]) for rule, method in rules(shop)}
    wrong = {key: sorted(roles) for key, roles in says.items() if roles != ALLOWED.get(key)}
    assert wrong == {}


def test_nobody_is_asked_to_log_in(shop: Flask) -> None:
    browser = Browser(shop)
    token = browser.token("/log-in")
    for rule, method in rules(shop):
        answer = send(browser, method, plausible(rule), token)
        assert (answer.status_code, answer.headers["HX-Redirect"].split("?")[0]) == (401, "/log-in"), (method, rule)


@pytest.mark.parametrize("role", [None, *(role for role in ROLES if role != "owner")])
def test_who_lacks_the_role_finds_nothing(shop: Flask, person: Callable[..., Member], role: str | None) -> None:
    by = person(role)
    token = by.token("/settings")
    for rule, method in rules(shop):
        if role not in ALLOWED.get((str(rule), method), {role}):
            answer = send(by, method, plausible(rule), token)
            assert answer.status_code == 404, (method, rule)


@pytest.mark.parametrize("role", ROLES)
def test_who_has_the_role_finds_each_page(shop: Flask, person: Callable[..., Member], role: str) -> None:
    by = person(role)
    for rule, method in rules(shop):
        if method == "GET" and not rule.arguments and role in ALLOWED.get((str(rule), method), ()):
            status = by.get(str(rule), buffered=True).status_code
            assert status in (200, 303) or (status == 404 and str(rule) in EMPTY), (rule, status)


def test_no_form_is_taken_without_its_token(shop: Flask, person: Callable[..., Member]) -> None:
    owner = person("owner")
    for rule, method in rules(shop):
        if method != "GET":
            assert send(owner, method, plausible(rule), "").status_code == 400, rule


@pytest.mark.parametrize("value", NUMBERS + TEXTS)
def test_no_id_breaks_a_page(shop: Flask, person: Callable[..., Member], value: str) -> None:
    owner = person("owner")
    token = owner.token("/settings")
    for rule, method in rules(shop):
        kinds = {type(rule._converters[name]).__name__ for name in rule.arguments}
        if kinds and (value in TEXTS or "Number" in kinds):
            answer = send(owner, method, filled(rule, value), token)
            assert answer.status_code < 500, (method, rule)
            assert value != "<img>" or value not in answer.text, (method, rule)


def send(browser: Browser, method: str, path: str, token: str) -> TestResponse:
    """As htmx does: a refusal is a line then, and no whole page."""
    htmx = {"HX-Request": "true"}
    if method == "GET":
        return browser.get(path, headers=htmx, buffered=True)
    return browser.post_raw(path, {"csrf_token": token} if token else {}, headers=htmx)
