"""Which language a reader gets: configured ones only, and never an error."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.credits.member import Member
from tests.people.browser import Browser
from webapp.i18n.locale import current_tag, languages, match_tag, text_direction, use_locale


def language_of(html: str) -> str:
    found = re.search(r'<html lang="([\w-]+)" dir="(ltr|rtl)"', html)
    assert found, html[:300]
    return found[1]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("it, ar;q=0.3, de;q=0.4", "de"),
        ("ar-EG", "ar"),
        ("AR", "ar"),
        ("de;q=0, ar;q=0.1", "ar"),
        ("xx, *;q=0.1", "en"),
        ("", "en"),
        ("*", "en"),
        (";;;,,,q=", "en"),
        ("de_DE", "de"),
        ("../../etc/passwd", "en"),
        ("a" * 5000, "en"),
        ("de-" + "x" * 100, "en"),
        ("zh-Hant-TW, pt-PT", "pt-BR"),
        ("zh-Hant-TW, it", "en"),
    ],
)
def test_accept_language_is_read_with_qualities_and_variants(app: Flask, header: str, expected: str) -> None:
    response = Browser(app).get("/log-in", headers={"Accept-Language": header})
    assert (response.status_code, language_of(response.text)) == (200, expected)


@pytest.mark.parametrize("tag", ["xx", "%00", "..%2F..%2Fde", "de%0d%0a", "pt-BR", "<script>", "x" * 3000, "٣"])
def test_lang_in_the_query_is_passed_over(app: Flask, tag: str) -> None:
    response = Browser(app).get(f"/log-in?lang={tag}&locale={tag}")
    assert (response.status_code, language_of(response.text)) == (200, "en")


@pytest.mark.parametrize("value", ["xx", "..", "de_DE_POSIX_x", "\\", "DE", '"'])
def test_a_strange_cookie_is_passed_over(app: Flask, value: str) -> None:
    browser = Browser(app)
    browser.client.set_cookie("locale", value)
    assert browser.get("/log-in").status_code == 200


def test_choosing_a_language_is_kept_and_leads_back(app: Flask) -> None:
    browser = Browser(app)
    page = "/log-in?next=/credits"
    response = browser.post("/language", {"locale": "ar", "back": page}, form="/log-in")
    assert (response.status_code, response.headers["Location"]) == (303, page)
    html = browser.get("/log-in", headers={"Accept-Language": "de"}).text
    assert '<html lang="ar" dir="rtl"' in html


@pytest.mark.parametrize(
    "back", ["//evil.com", "/\\evil.com", "https://evil.com", "javascript:1", "/a\r\nb", "", "\x00"]
)
def test_the_way_back_stays_on_this_host(app: Flask, back: str) -> None:
    browser = Browser(app)
    for path in ("/language", "/theme"):
        response = browser.post(path, {"locale": "de", "theme": "dark", "back": back}, form="/log-in")
        assert (response.status_code, response.headers["Location"]) == (303, "/")


@pytest.mark.parametrize("tag", ["xx", "", "\x00", "../de", "<b>", "x" * 9999])
def test_a_language_that_is_not_here_changes_nothing(app: Flask, tag: str) -> None:
    browser = Browser(app)
    assert browser.post("/language", {"locale": tag}, form="/log-in").status_code == 303
    assert browser.client.get_cookie("locale") is None


def test_the_persons_setting_wins_over_cookie_and_header(new_member: Callable[..., Member]) -> None:
    member = new_member(locale="de")
    member.client.set_cookie("locale", "ar")
    assert language_of(member.get("/credits", headers={"Accept-Language": "en"}).text) == "de"
    member.post("/language", {"locale": "ar", "back": "/credits"}, form="/credits")
    member.client.delete_cookie("locale")
    assert language_of(member.get("/credits").text) == "ar"


def test_a_locale_in_the_path_follows_the_choice(app: Flask) -> None:
    response = Browser(app).post("/language", {"locale": "ar", "back": "/de/pricing?currency=EUR"}, form="/log-in")
    assert response.headers["Location"] == "/ar/pricing?currency=EUR"


def test_a_stored_setting_that_is_no_locale_breaks_nothing(new_member: Callable[..., Member]) -> None:
    member = new_member(locale="it-IT", time_zone="Mars/Olympus")
    assert language_of(member.get("/credits").text) == "en"


def test_brazilian_portuguese_can_be_configured(make_app: Callable[..., Flask], servers: Any) -> None:
    app = make_app(servers, LOCALES="en,pt-BR,ar")
    browser = Browser(app)
    for header in ("pt-BR", "pt", "pt-PT", "pt_BR"):
        assert language_of(browser.get("/log-in", headers={"Accept-Language": header}).text) == "pt-BR"
    with app.app_context():
        assert ("pt-BR", "Português (Brasil)", "ltr") in languages()
        assert match_tag("PT-br") == "pt-BR"


def test_jobs_have_a_language_without_a_request(app: Flask) -> None:
    with app.app_context():
        assert (current_tag(), text_direction()) == ("en", "ltr")
        with use_locale("ar"):
            assert (current_tag(), text_direction()) == ("ar", "rtl")
        with use_locale("de-AT"):
            assert current_tag() == "de"
        for strange in ("xx", None, "\x00", "../de", ""):
            with use_locale(strange):
                assert current_tag() == "en"
        assert current_tag() == "en"


def test_every_language_is_named_in_itself(app: Flask) -> None:
    with app.app_context():
        assert languages() == [
            ("en", "English", "ltr"),
            ("de", "Deutsch", "ltr"),
            ("fr", "Français", "ltr"),
            ("es", "Español", "ltr"),
            ("pt-BR", "Português (Brasil)", "ltr"),
            ("ja", "日本語", "ltr"),
            ("ar", "العربية", "rtl"),
        ]
