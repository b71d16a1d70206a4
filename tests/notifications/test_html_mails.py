"""Mails as people read them: text and HTML that say the same, in their language, with nothing from elsewhere."""

import re
from html.parser import HTMLParser
from uuid import uuid4

import pytest
from flask import Flask
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.i18n.locale import use_locale
from webapp.notifications.credit_mails import CREDIT_MAILS
from webapp.people.mails import MAILS, Mail, write_mail
from webapp.people.sign_up import sign_up
from webapp.people.user import User

LOCALES = ("en", "de", "fr", "es", "pt-BR", "ja", "ar")
NAME = "<i>Ada</i> & Co"


class Elements(HTMLParser):
    """What a page is made of: its elements in order, and the addresses that it loads or leads to."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def person(session: Session, locale: str) -> User:
    password = "hazel-otter-cobalt-7"
    return sign_up(session, email=f"{uuid4().hex}@example.com", password=password, name=NAME, locale=locale)


def all_mails(app: Flask, session: Session, user: User) -> dict[str, Mail]:
    settings = app.config["SETTINGS"]
    seq = ledger.grant(
        session, account_id=user.account_id, amount=1234, source="s", actor="test", description="Welcome credits"
    ).entry.seq
    session.flush()
    found: dict[str, Mail | None] = {
        name: write(session, settings=settings, user_id=user.id, account_id=user.account_id, grants=[[seq, 1234]] * 25)
        for name, write in CREDIT_MAILS.items()
    }
    for name, write in MAILS.items():
        who = {"email_key": user.email_key} if name == "password_reset" else {"user_id": user.id}
        found[name] = write(session, settings=settings, **who)
    with use_locale(user.locale):
        subject = _("The payment for “%(plan)s” did not come through", plan="Pro")
        found["payment_failed"] = write_mail(
            "payment_failed", user=user, subject=subject, preheader="", plan="Pro", amount="€12", link="http://x/pay"
        )
    return {name: mail for name, mail in found.items() if mail is not None}


@pytest.mark.parametrize("locale", LOCALES)
def test_every_mail_has_two_sides_that_lead_to_the_same_place(app: Flask, session: Session, locale: str) -> None:
    mails = all_mails(app, session, person(session, locale))
    assert len(mails) >= 6
    for name, mail in mails.items():
        assert mail.html is not None, name
        elements = Elements(mail.html)
        [page] = elements.named("html")
        assert (page["lang"], page["dir"]) == (locale, "rtl" if locale == "ar" else "ltr")
        assert len(elements.named("h1")) == 1
        [action] = [link for link in elements.named("a") if "press" in (link.get("class") or "")]
        assert action["href"] is not None
        assert action["href"] in mail.text, name
        assert mail.subject in mail.html
        assert "color-scheme" in mail.html
        assert "{{" not in mail.html + mail.text
        assert "<i>" not in mail.html  # a name is a text
        assert NAME in mail.text


@pytest.mark.parametrize("locale", LOCALES)
def test_a_mail_loads_nothing_and_runs_nothing(app: Flask, session: Session, locale: str) -> None:
    for name, mail in all_mails(app, session, person(session, locale)).items():
        elements = Elements(mail.html or "")
        assert not [tag for tag, _attributes in elements.found if tag in ("img", "script", "link", "iframe", "form")]
        assert not [one for _tag, one in elements.found if "src" in one or any(key.startswith("on") for key in one)]
        assert not re.search(r"url\(|@import|@font-face", mail.html or ""), name
        assert max(map(len, (mail.html or "").encode().split(b"\n"))) < 998  # RFC 5322
        assert len((mail.html or "").encode()) < 102_000  # more is cut off by a large provider of mail


def test_only_mails_that_one_can_do_without_say_how_to_stop_them(app: Flask, session: Session) -> None:
    for name, mail in all_mails(app, session, person(session, "en")).items():
        assert (mail.unsubscribe is not None) == (name in CREDIT_MAILS)
        assert ("No more of these mails" in (mail.html or "")) == (name in CREDIT_MAILS)


@pytest.mark.parametrize("locale", ["de", "ar"])
def test_no_english_is_left_in_a_mail(app: Flask, session: Session, locale: str) -> None:
    for mail in all_mails(app, session, person(session, locale)).values():
        words = re.sub(r"<style>.*?</style>|<[^>]*>|http\S+|&[#\w]+;", " ", mail.html or "", flags=re.DOTALL)
        assert not re.search(r"\b(the|your|you|and|of|mail is)\b", words), words
