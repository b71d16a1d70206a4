"""What can be opened once with credits, on the page of credits: cost first, paid once, named in the history."""

import re
from collections.abc import Callable

import pytest
from flask import Flask

from tests.credits.member import Member
from webapp import ledger
from webapp.catalog.unlock import create_unlock, find_unlock, offer_unlock
from webapp.database import unit_of_work


def section(html: str) -> str:
    return html.split('id="unlocks"')[1].split("</section>")[0]


def form_of(html: str, unlock: str = "brand-kit") -> dict[str, str]:
    forms = re.findall(r'<form method="post" action="/credits/unlocks">(.*?)</form>', html)
    found = [dict(re.findall(r'name="(\w+)" value="([^"]*)"', one)) for one in forms]
    return next(one for one in found if one["unlock"] == unlock)


def test_cost_and_what_is_left_are_shown_before(member: Member) -> None:
    member.grant(300)
    html = section(member.get("/credits").text)
    assert 'data-unlock="brand-kit" data-cost="250"' in html
    assert 'data-left="50"' in html
    assert "Unlock for 250 credits" in html
    assert "for 30 days" in html
    assert member.balance() == 300


def test_missing_credits_are_named_with_a_way_to_buy_and_come_back(member: Member) -> None:
    member.grant(200)
    html = section(member.get("/credits").text)
    assert 'data-missing="50"' in html
    assert "50 credits are missing" in html
    assert "/pricing?next=" in html
    assert "Unlock for 250" not in html
    assert "Unlock for 25 " in html


def test_what_was_opened_is_said_and_stands_in_the_history(member: Member) -> None:
    member.grant(300)
    response = member.post_raw("/credits/unlocks", form_of(member.get("/credits").text))
    assert response.status_code == 303
    assert response.headers["Location"].endswith("/credits#h-unlocks")
    html = member.get("/credits").text
    assert "“Brand kit” is unlocked." in html
    assert 'data-unlocked="brand-kit"' in section(html)
    assert 'data-unlock="brand-kit"' not in html
    assert "For good" in section(html)
    assert member.balance() == 50
    history = member.get("/credits/history").text
    assert "Unlocked Brand kit" in history
    assert "unlock:brand-kit" not in history
    why = member.get("/credits/entries/2").text
    assert "Why was I charged 250 credits?" in why
    assert "Unlocked Brand kit" in why
    assert "Brand kit</bdi>: <bdi" not in why


def test_one_form_sent_twice_pays_once(member: Member) -> None:
    member.grant(600)
    form = form_of(member.get("/credits").text)
    assert [member.post_raw("/credits/unlocks", form).status_code for _ in range(2)] == [303, 303]
    assert member.balance() == 350


def test_what_was_refunded_in_full_is_offered_again(member: Member) -> None:
    member.grant(300)
    member.post_raw("/credits/unlocks", form_of(member.get("/credits").text))
    member.write(ledger.refund_spend, seq=2, actor="admin", reason="Not wanted")
    html = section(member.get("/credits").text)
    assert 'data-unlocked="brand-kit"' not in html
    assert 'data-left="50"' in html


def test_what_costs_something_else_by_now_is_not_bought(
    shop: Flask, member: Member, new_member: Callable[..., Member]
) -> None:
    with shop.app_context(), unit_of_work() as session:
        create_unlock(session, key="dearer", name="Dearer", credits=10, features=["a"])
    member.grant(300)
    form = form_of(member.get("/credits").text, "dearer")
    with shop.app_context(), unit_of_work() as session:
        find_unlock(session, key="dearer").credits = 20
    assert member.post_raw("/credits/unlocks", form).status_code == 303
    assert "It costs something else by now" in member.get("/credits").text
    assert member.balance() == 300
    with shop.app_context(), unit_of_work() as session:
        offer_unlock(session, key="dearer", active=False)
    assert member.post_raw("/credits/unlocks", {**form, "credits": "20"}).status_code == 404
    assert member.balance() == 300


def test_what_cannot_be_paid_any_more_is_not_bought(member: Member) -> None:
    member.grant(300)
    form = form_of(member.get("/credits").text)
    member.spend(100)
    assert member.post_raw("/credits/unlocks", form).status_code == 303
    assert "You don’t have the credits for that." in member.get("/credits").text
    assert member.balance() == 200


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"unlock": "nothing"}, 404),
        ({"unlock": "\x00"}, 404),
        ({"unlock": ""}, 404),
        ({"credits": ""}, 400),
        ({"credits": "-5"}, 400),
        ({"credits": "٣"}, 400),
        ({"credits": "9" * 40}, 400),
        ({"csrf_token": "none"}, 400),
    ],
)
def test_strange_forms_are_refused(member: Member, change: dict[str, str], status: int) -> None:
    member.grant(300)
    form = {**form_of(member.get("/credits").text), **change}
    assert member.post_raw("/credits/unlocks", form).status_code == status
    assert member.balance() == 300


def test_strangers_are_asked_to_log_in(member: Member) -> None:
    form = form_of_rich(member)
    member.client.delete_cookie("tallystick")
    assert member.post_raw("/credits/unlocks", form).status_code in (303, 400)
    assert member.balance() == 300


def form_of_rich(member: Member) -> dict[str, str]:
    member.grant(300)
    return form_of(member.get("/credits").text)


def test_names_are_in_the_readers_language(new_member: Callable[..., Member]) -> None:
    member = new_member(locale="de")
    member.grant(300)
    html = member.get("/credits").text
    assert "Brand kit" not in html
    member.post_raw("/credits/unlocks", form_of(html))
    history = member.get("/credits/history").text
    assert "Brand kit" not in history
    assert "freigeschaltet" in history.lower()


def test_a_suspended_account_unlocks_nothing_and_is_told_so(member: Member) -> None:
    member.grant(300)
    form = form_of(member.get("/credits").text)
    runner = member.app.test_cli_runner()
    assert runner.invoke(args=["account", "suspend", member.external_id, "--reason", "Chargebacks"]).exit_code == 0
    assert member.post_raw("/credits/unlocks", form).status_code == 303
    assert "Your account is suspended. Nothing was spent." in member.get("/credits").text
    assert member.balance() == 300
