"""An operator's name, mark and hue in place of ours, wherever a customer looks."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.credits.member import Member
from tests.people.browser import Browser
from webapp.database import unit_of_work
from webapp.layout.palette import palette
from webapp.notifications.mail import compose
from webapp.people import mails
from webapp.people.user import User

NAME = 'Ölmühle <b>"Süd"</b>'
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><path d="M0 0h8v8H0z"/></svg>'
PUBLIC = ("/", "/pricing", "/log-in", "/sign-up", "/forgot-password", "/api/docs", "/nope", "/styleguide")
SIGNED_IN = ("/credits", "/credits/history", "/credits/usage", "/credits/playground", "/plan", "/settings", "/sandbox")


@pytest.fixture(scope="module")
def branded(make_app: Callable[..., Flask], servers: Any) -> Flask:
    return make_app(servers, BRAND_NAME=NAME, BRAND_HUE="250")


@pytest.fixture
def customer(branded: Flask) -> Member:
    return Member(branded)


def test_our_name_is_on_no_page_of_another_brand(branded: Flask, customer: Member) -> None:
    browser = Browser(branded)
    for path in PUBLIC:
        html = browser.get(path, follow_redirects=True).text
        assert_only_theirs(html, path)
    for path in SIGNED_IN:
        html = customer.get(path).text.replace(str(branded.config["SETTINGS"].data_dir), "")  # where its mails are
        assert_only_theirs(html, path)


def assert_only_theirs(html: str, path: str) -> None:
    assert "Tallystick" not in html, path
    assert "tallystick" not in re.sub(r"<[^>]*>", "", html).lower(), path
    assert "Ölmühle &lt;b&gt;&#34;Süd&#34;&lt;/b&gt;" in html, path
    assert "<b>&#34;" not in html, path


def test_our_name_is_in_no_mail_of_another_brand(branded: Flask, customer: Member) -> None:
    settings = branded.config["SETTINGS"]
    with branded.app_context(), unit_of_work() as session:
        user = session.query(User).filter_by(email=customer.email).one()
        for locale in settings.locales:
            user.locale = locale
            session.flush()
            written = [
                mails.password_reset(session, settings=settings, email_key=user.email_key),
                mails.password_changed(session, settings=settings, user_id=user.id),
                mails.confirm_address(session, settings=settings, user_id=user.id),
            ]
            for mail in filter(None, written):
                assert "allystick" not in f"{mail.subject} {mail.text} {mail.html}", mail.subject
                assert NAME in mail.text or NAME in mail.subject
                assert palette(250)["credit"][1] in (mail.html or "")


def test_mails_come_from_the_brand(branded: Flask) -> None:
    message = compose(branded.config["SETTINGS"], to="a@example.com", subject="x", text="y", html=None, locale="en")
    assert message["From"].addresses[0].display_name == NAME
    assert message["From"].addresses[0].addr_spec == "credits@example.com"


def test_the_tints_follow_the_hue(branded: Flask, app: Flask) -> None:
    ours = Browser(app).get("/static/tallystick.css").text
    theirs = Browser(branded).get("/static/tallystick.css").text
    assert theirs.startswith(ours)
    assert palette(250)["wood-1"][0] in theirs
    assert palette(250)["wood-1"][0] not in ours


def test_icons_are_the_brands(branded: Flask, app: Flask) -> None:
    theirs = Browser(branded)
    html = theirs.get("/log-in").text
    assert "favicon.ico" not in html
    assert "apple-touch-icon" not in html
    mark = theirs.get(re.findall(r'rel="icon" href="([^"]+)"', html)[0])
    assert mark.mimetype == "image/svg+xml"
    assert ">Ö</text>" in mark.text
    assert palette(250)["wood-1"][0] in mark.text
    assert theirs.get("/favicon.ico", follow_redirects=True).text == mark.text
    ours = Browser(app).get("/favicon.ico", follow_redirects=True)
    assert ours.data[:4] == b"\0\0\1\0"


def test_the_manifest_names_the_brand_and_icons_that_are_there(branded: Flask, app: Flask) -> None:
    for one, name in ((branded, NAME), (app, "Tallystick")):
        browser = Browser(one)
        answer = browser.get("/manifest.webmanifest")
        assert answer.mimetype == "application/manifest+json"
        manifest = json.loads(answer.text)
        assert manifest["name"] == name
        for icon in manifest["icons"]:
            assert browser.get(icon["src"]).status_code == 200


def test_an_own_logo_is_on_page_and_tab(make_app: Callable[..., Flask], servers: Any, tmp_path: Path) -> None:
    logo = tmp_path / "Mark of ours.SVG"
    logo.write_text(SVG)
    browser = Browser(make_app(servers, BRAND_NAME="Acme", BRAND_LOGO=str(logo)))
    html = browser.get("/log-in").text
    shown = re.findall(r'<img class="mark" src="([^"]+)" alt=""', html)
    assert shown == re.findall(r'rel="icon" href="([^"]+)"', html)
    answer = browser.get(shown[0])
    assert (answer.text, answer.mimetype) == (SVG, "image/svg+xml")
    assert "immutable" in answer.headers["Cache-Control"]
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]


def test_pages_for_strangers_say_what_they_are_about(app: Flask, branded: Flask) -> None:
    html = Browser(app).get("/pricing").text
    image = re.findall(r'<meta property="og:image" content="([^"]+)"', html)
    assert image
    assert image[0].startswith(app.config["SETTINGS"].base_url)
    assert Browser(app).get(image[0].removeprefix(app.config["SETTINGS"].base_url)).data[:4] == b"\x89PNG"
    assert '<meta property="og:site_name" content="Tallystick">' in html
    assert '<meta name="description" content="' in html
    theirs = Browser(branded).get("/pricing").text
    assert "og:title" in theirs
    assert "og:image" not in theirs, "our picture has our name in it"
