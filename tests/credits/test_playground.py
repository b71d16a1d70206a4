"""The playground: the cost first, one spend for one form, sandbox mode only."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.credits.member import Member
from tests.people.browser import Browser

PAGE = "/credits/playground?feature=image&quantity=3"


def form_of(html: str) -> dict[str, str]:
    form = html.split('<form method="post" action="/credits/playground">')[1].split("</form>")[0]
    return dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))


def test_cost_and_what_is_left_are_shown_before(member: Member) -> None:
    member.grant(100)
    html = member.get(PAGE).text
    assert 'data-cost="24"' in html
    assert 'data-left="76"' in html
    assert "Spend 24 credits" in html
    assert member.balance() == 100


def test_one_form_sent_twice_spends_once_and_leads_to_why(member: Member) -> None:
    member.grant(100)
    form = form_of(member.get(PAGE).text)
    first, second = (member.post_raw("/credits/playground", form) for _ in range(2))
    assert first.status_code == second.status_code == 303
    assert first.headers["Location"] == second.headers["Location"]
    assert member.balance() == 76
    html = member.get(first.headers["Location"]).text
    assert "24 credits spent" in html
    assert 'href="/credits/entries/2"' in html
    assert "Why was I charged 24 credits?" in member.get("/credits/entries/2").text


def test_two_forms_spend_twice(member: Member) -> None:
    member.grant(100)
    for _ in range(2):
        member.post_raw("/credits/playground", form_of(member.get(PAGE).text))
    assert member.balance() == 52


def test_a_used_form_with_another_choice_spends_nothing(member: Member) -> None:
    member.grant(100)
    form = form_of(member.get(PAGE).text)
    member.post_raw("/credits/playground", form)
    response = member.post_raw("/credits/playground", {**form, "quantity": "1"})
    assert response.status_code == 422
    assert member.balance() == 76


def test_over_half_is_warned_about(member: Member) -> None:
    member.grant(40)
    assert "more than half" in member.get(PAGE).text
    member.grant(100)
    assert "more than half" not in member.get(PAGE).text


def test_missing_credits_are_named_with_a_way_to_buy_and_come_back(member: Member) -> None:
    member.grant(20)
    html = member.get(PAGE).text
    assert 'data-missing="4"' in html
    assert "next=%2Fcredits%2Fplayground%3Ffeature%3Dimage%26quantity%3D3" in html or "next=/credits/playground" in html
    assert "Spend 24 credits" not in html


def test_spending_what_is_not_there_changes_nothing(member: Member) -> None:
    member.grant(100)
    form = form_of(member.get(PAGE).text)
    member.spend(90)
    response = member.post_raw("/credits/playground", form)
    assert response.status_code == 422
    assert "14 credits are missing" in response.text
    assert member.balance() == 10


@pytest.mark.parametrize("quantity", ["0", "-1", "1.5", "1e3", "", "ten", "٣", "9" * 30, "\x00", "9999999999999999"])
def test_strange_quantities_are_refused_by_name(member: Member, quantity: str) -> None:
    member.grant(100)
    form = form_of(member.get(PAGE).text)
    shown = member.get("/credits/playground", query_string={"feature": "image", "quantity": quantity})
    assert shown.status_code == 200
    assert 'id="quantity-note"' in shown.text
    assert member.post_raw("/credits/playground", {**form, "quantity": quantity}).status_code == 422
    assert member.balance() == 100


@pytest.mark.parametrize("feature", ["nobody", "\x00", "<b>", "a" * 5000, "%s"])
def test_unknown_features_are_refused(member: Member, feature: str) -> None:
    form = form_of_any(member)
    assert member.get("/credits/playground", query_string={"feature": feature}).status_code == 200
    assert member.post_raw("/credits/playground", {**form, "feature": feature}).status_code == 422
    assert member.balance() == 100


def form_of_any(member: Member) -> dict[str, str]:
    member.grant(100)
    return form_of(member.get(PAGE).text)


def test_a_program_without_a_key_spends_each_time_it_asks(member: Member) -> None:
    member.grant(100)
    form = form_of(member.get(PAGE).text)
    del form["key"]
    assert [member.post_raw("/credits/playground", form).status_code for _ in range(2)] == [303, 303]
    assert member.balance() == 52


@pytest.mark.parametrize("key", ["", "x", "\x00" * 10, "é" * 20, "k" * 300])
def test_forms_without_a_proper_key_are_refused(member: Member, key: str) -> None:
    form = form_of_any(member)
    assert member.post_raw("/credits/playground", {**form, "key": key}).status_code == 400


def test_result_names_only_the_readers_own_entries(member: Member) -> None:
    for spent in ("999", "x", "9" * 50, "-1"):
        assert "credits spent" not in member.get(f"/credits/playground?spent={spent}").text


def test_page_and_fragment_show_the_same(member: Member) -> None:
    member.grant(100)
    part = member.fragment(PAGE, "playground").text
    assert part.strip().startswith('<div id="playground"')
    assert 'data-cost="24"' in part


def test_outside_sandbox_mode_there_is_no_playground(make_app: Callable[..., Flask], servers: Any) -> None:
    live = make_app(
        servers,
        STRIPE_SECRET_KEY="sk_test_" + "x" * 20,
        STRIPE_WEBHOOK_SECRET="whsec_" + "y" * 20,
        SECRET_KEY="s" * 40,
        LEDGER_SEAL_KEY="l" * 40,
    )
    browser = Browser(live)
    assert browser.sign_up().status_code == 303
    html = browser.get("/credits").text
    assert "playground" not in html
    assert "Sandbox" not in html
    assert browser.get("/credits/playground").status_code == 404
    token = browser.token("/settings")
    assert browser.post_raw("/credits/playground", {"csrf_token": token}).status_code == 404


def test_a_suspended_account_spends_nothing_and_is_told_so(member: Member) -> None:
    member.grant(100)
    form = form_of(member.get(PAGE).text)
    runner = member.app.test_cli_runner()
    assert runner.invoke(args=["account", "suspend", member.email, "--reason", "Chargebacks"]).exit_code == 0
    response = member.post_raw("/credits/playground", form)
    assert response.status_code == 403
    assert "Your account is suspended. Nothing was spent." in response.text
    assert "Chargebacks" not in response.text
    assert member.balance() == 100
