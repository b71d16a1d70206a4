"""The live fragment: right at once, and free of SQL while nothing happens."""

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from redis import Redis

from tests.credits.member import Member


def root(html: str) -> dict[str, str]:
    """The attributes of the fragment's root element."""
    tag = re.search(r"<a [^>]*id=\"balance\"[^>]*>", html)
    assert tag, html
    return {name: unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', tag[0])}


def test_fragment_has_one_root_with_available_held_and_version(member: Member) -> None:
    member.grant(500)
    response = member.get("/credits/balance")
    assert response.status_code == 200
    assert response.text.strip().startswith("<a ")
    shown = root(response.text)
    assert (shown["data-available"], shown["data-held"]) == ("500", "0")
    assert shown["data-version"]
    assert response.headers["Cache-Control"] == "no-store"


def test_every_page_carries_the_same_fragment_once(member: Member) -> None:
    member.grant(7)
    for path in ("/credits", "/credits/history", "/credits/playground", "/settings"):
        html = member.get(path).text
        assert html.count('id="balance"') == 1, path
        assert root(html)["data-available"] == "7"


def test_unchanged_version_answers_204(member: Member) -> None:
    member.grant(10)
    version = root(member.get("/credits/balance").text)["data-version"]
    for _ in range(2):
        response = member.get("/credits/balance", query_string={"v": version})
        assert (response.status_code, response.data) == (204, b"")


def test_unchanged_tick_costs_no_sql(member: Member, statements: list[str]) -> None:
    member.grant(10)
    shown = root(member.get("/credits").text)
    statements.clear()
    for _ in range(3):
        assert member.get(shown["hx-get"]).status_code == 204
    assert statements == []


def test_a_spend_shows_at_the_next_tick(member: Member) -> None:
    member.grant(100)
    shown = root(member.get("/credits").text)
    assert member.get(shown["hx-get"]).status_code == 204
    member.spend(30)
    response = member.get(shown["hx-get"])
    assert response.status_code == 200
    assert root(response.text)["data-available"] == "70"
    assert "70 credits" in response.headers["HX-Trigger"]


def test_a_change_between_reading_and_remembering_is_not_hidden(
    member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader saw the old balance, then the writer published, then the reader told Redis what it had seen."""
    from webapp.credits import live

    member.grant(100)
    remember = live.remember

    def late(*args: Any, **kwargs: Any) -> None:
        monkeypatch.undo()
        member.spend(1)
        remember(*args, **kwargs)

    monkeypatch.setattr(live, "remember", late)
    shown = root(member.get("/credits/balance").text)
    assert shown["data-available"] == "100"
    assert root(member.get(shown["hx-get"]).text)["data-available"] == "99"


def test_what_expires_by_itself_shows_within_seconds(member: Member, redis: Redis) -> None:
    from webapp.credits.live import KNOWN_SECONDS

    member.grant(100)
    member.get("/credits")
    ttl = redis.ttl(f"tallystick:balance:{member.account_id}")
    assert 0 < ttl <= KNOWN_SECONDS


def test_forged_ticket_or_version_reads_the_ledger(member: Member, new_member: Callable[..., Member]) -> None:
    member.grant(5)
    other = new_member()
    ticket = root(other.get("/credits").text)["hx-get"]
    for query in ("?v=nonsense&a=nonsense", "?v=%00&a=%ff", ticket.removeprefix("/credits/balance")):
        response = member.get("/credits/balance" + query)
        if response.status_code == 200:
            assert root(response.text)["data-available"] == "5"
        else:
            assert response.status_code == 204


def test_strangers_get_the_log_in_page_and_background_tabs_stop(member: Member) -> None:
    member.client.delete_cookie("tallystick")
    assert member.get("/credits/balance").status_code == 303
    assert member.fragment("/credits/balance", "balance").status_code == 401


def test_without_redis_the_answer_comes_from_sql(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    from redis.exceptions import ConnectionError as RedisAway

    from webapp.credits import live

    class Away:
        def ask(self, *_command: object) -> object:
            raise RedisAway("gone")

        def __getattr__(self, _name: str) -> object:
            raise RedisAway("gone")

    member.grant(3)
    monkeypatch.setattr(live, "redis_connection", Away)
    monkeypatch.setattr(live, "ask_redis", Away().ask)
    response = member.get("/credits/balance?v=x&a=y")
    assert root(response.text)["data-available"] == "3"
    with member.app.app_context():
        live.publish([member.account_id])


def test_very_many_accounts_are_published_in_a_few_commands(member: Member, redis: Redis) -> None:
    """As a job does that has written to all of them; each mark is a new one."""
    from webapp.credits import live

    ids = [member.account_id, *range(10**12, 10**12 + 2_500)]
    keys = [live._mark_key(ids[0]), live._mark_key(ids[-1])]
    with member.app.app_context():
        live.publish(ids)
        before = redis.mget(keys)
        live.publish(ids)
    after = redis.mget(keys)
    assert None not in before
    assert set(before).isdisjoint(after)
    assert 0 < redis.ttl(keys[1]) <= live._MARK_SECONDS
