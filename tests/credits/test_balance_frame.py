"""The balance in a frame: by a signed address, in the pages of configured sites, and nowhere else."""

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from flask import Flask

from tests.conftest import TestServers
from tests.credits.member import Member
from webapp.people import balance_frame
from webapp.people.sessions import now

SITES = "https://app.example.com,http://localhost:3000"


@pytest.fixture(scope="module")
def site(make_app: Callable[..., Flask], servers: TestServers) -> Flask:
    return make_app(servers, EMBED_ORIGINS=SITES)


def address(site: Flask, member: Member, *, seconds: float = 600, **more: Any) -> str:
    token = balance_frame.sign_frame(
        **{
            "account_id": member.account_id,
            "locale": None,
            "expires_at": now() + timedelta(seconds=seconds),
            "secret_key": site.config["SECRET_KEY"],
            **more,
        }
    )
    return f"/embed/balance?t={token}"


def asks(html: str) -> str:
    """What the page asks for about once a second."""
    found = re.search(r'hx-get="([^"]+)"', html)
    assert found, html
    return unescape(found[1])


def test_the_page_shows_the_balance_to_whoever_has_the_address(site: Flask, member: Member) -> None:
    member.grant(1234)
    answer = site.test_client().get(address(site, member, locale="de"))
    assert answer.status_code == 200
    assert 'data-available="1234"' in answer.text
    assert "1.234 Credits" in answer.text
    assert 'lang="de"' in answer.text
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"


def test_only_configured_sites_may_frame_it_and_nothing_else_may_be_framed(
    site: Flask, shop: Flask, member: Member
) -> None:
    framed = address(site, member)
    policy = site.test_client().get(framed).headers["Content-Security-Policy"]
    assert "frame-ancestors https://app.example.com http://localhost:3000" in policy
    assert "unsafe" not in policy
    live = asks(site.test_client().get(framed).text)
    member.grant(1)
    assert "frame-ancestors https://app.example.com" in site.test_client().get(live).headers["Content-Security-Policy"]
    for path in ("/credits", "/pricing", "/log-in", "/credits/balance", "/portal/x", "/embed/other"):
        policy = site.test_client().get(path).headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy, path
    unconfigured = shop.test_client().get(framed).headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in unconfigured


def test_it_follows_the_balance_without_sql_while_nothing_changes(
    shop: Flask, member: Member, statements: list[str]
) -> None:
    member.grant(100)
    client = shop.test_client()
    live = asks(client.get(address(shop, member)).text)
    statements.clear()
    assert client.get(live).status_code == 204
    assert statements == []
    member.spend(30)
    answer = client.get(live)
    assert 'data-available="70"' in answer.text
    assert "<html" not in answer.text


def test_an_expired_or_forged_address_shows_nothing(shop: Flask, member: Member) -> None:
    member.grant(5)
    client = shop.test_client()
    good = address(shop, member)
    bad = [
        address(shop, member, seconds=-1),
        address(shop, member, secret_key="another"),
        good[:-2] + ("A" if good[-2] != "A" else "B") + good[-1],  # the last one has bits that mean nothing
        "/embed/balance",
        "/embed/balance?t=" + "x" * 900,
        "/embed/balance?t=%00%ff",
        address(shop, member, account_id=10**15),
    ]
    for path in bad:
        answer = client.get(path)
        assert answer.status_code == 410, path
        assert "data-available" not in answer.text
        assert client.get(path.replace("/balance", "/balance/live")).status_code == 401


def test_the_ticket_of_a_page_opens_no_frame(shop: Flask, member: Member) -> None:
    """Both are signed with one key; neither passes for the other."""
    ticket = re.search(r"a=([^&]+)", asks(member.get("/credits").text))
    assert ticket
    assert shop.test_client().get(f"/embed/balance?t={ticket[1]}").status_code == 410
    token = address(shop, member).partition("t=")[2]
    assert shop.test_client().get(f"/credits/balance?v=1&a={token}").status_code == 303
