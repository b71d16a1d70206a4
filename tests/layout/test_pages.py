"""What every page has: language, theme, navigation to pages that exist, the sandbox band."""

import re
from typing import Any

import pytest
from flask import Flask

from tests.credits.member import Member
from tests.people.browser import Browser


def test_the_theme_is_kept_and_the_page_too(app: Flask) -> None:
    browser = Browser(app)
    assert "data-theme" not in browser.get("/log-in").text.split("<head>")[0]
    response = browser.post("/theme", {"theme": "dark", "back": "/log-in?next=/credits"}, form="/log-in")
    assert (response.status_code, response.headers["Location"]) == (303, "/log-in?next=/credits")
    assert 'data-theme="dark"' in browser.get("/log-in").text
    browser.post("/theme", {"theme": "system"}, form="/log-in")
    assert "data-theme" not in browser.get("/log-in").text.split("<head>")[0]


@pytest.mark.parametrize("theme", ['"><script>', "", "DARK", "\x00"])
def test_a_strange_theme_follows_the_system(app: Flask, theme: str) -> None:
    browser = Browser(app)
    browser.client.set_cookie("theme", theme.replace("\x00", ""))
    html = browser.get("/log-in").text
    assert "data-theme" not in html.split("<head>")[0]


def test_theme_and_language_need_a_form_token(app: Flask) -> None:
    for path in ("/theme", "/language"):
        assert Browser(app).post_raw(path, {"theme": "dark", "locale": "de"}).status_code == 400


def test_every_link_of_the_frame_leads_somewhere(member: Member) -> None:
    html = member.get("/credits").text
    frame = html.split("<main")[0] + html.split("</main>")[1]
    links = set(re.findall(r'<a [^>]*href="(/[^"#?]*)', frame))
    assert {"/credits", "/credits/history"} <= links
    for link in links:
        assert member.get(link).status_code == 200, link


def test_the_page_one_is_on_is_marked(member: Member) -> None:
    for path in ("/credits", "/credits/history", "/credits/playground"):
        assert f'<a href="{path}" aria-current="page">' in member.get(path).text
    member.grant(1)
    assert '<a href="/credits/history" aria-current="page">' in member.get("/credits/entries/1").text


def test_sandbox_mode_is_said_on_every_page(member: Member, app: Flask) -> None:
    for path in ("/credits", "/credits/history", "/nope", "/pricing"):
        assert "Sandbox: no real money" in member.get(path).text, path
    assert "Sandbox: no real money" in Browser(app).get("/log-in").text


def test_log_out_is_a_form_of_the_frame(member: Member) -> None:
    assert '<form method="post" action="/log-out">' in member.get("/credits").text


def test_hostile_names_are_only_text(member: Member) -> None:
    from webapp.database import unit_of_work
    from webapp.people.user import User

    with member.app.app_context(), unit_of_work() as session:
        session.query(User).filter_by(email=member.email).one().name = '<script>"%s"</script>'
    html = member.get("/credits").text
    assert "<script>&#34;" not in html
    assert "&lt;script&gt;" in html


def test_skip_link_and_live_region_are_there(member: Member) -> None:
    html = member.get("/credits").text
    assert '<a class="skip" href="#main">' in html
    assert '<main id="main" tabindex="-1">' in html
    assert 'id="announce" role="status"' in html


def test_pages_about_a_person_are_kept_nowhere(member: Member) -> None:
    for path in ("/credits", "/credits/history", "/credits/playground", "/credits/history.csv"):
        answer: Any = member.download(path)
        assert answer.headers["Cache-Control"] == "no-store", path
