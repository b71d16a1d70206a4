"""A shop of its own for tests that publish: others are charged by the rate card of theirs."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from tests.credits.member import Member
from webapp.admin.audit import AuditLine
from webapp.catalog.install import install_shipped_catalog
from webapp.catalog.rate_card_draft import find_draft, prices_of_draft
from webapp.catalog.rate_card_file import Prices
from webapp.database import unit_of_work
from webapp.people.user import User

DRAFT = "/admin/rate-card/draft"


@pytest.fixture
def own_shop(fresh_app: Flask) -> Flask:
    with fresh_app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
    return fresh_app


def with_role(app: Flask, role: str | None) -> Member:
    one = Member(app)
    with app.app_context(), unit_of_work() as session:
        session.query(User).filter_by(email=one.email).one().role = role
    return one


def draft_of(app: Flask) -> Prices | None:
    """What the draft says; None where there is none."""
    with app.app_context(), unit_of_work() as session:
        draft = find_draft(session)
        return None if draft is None else prices_of_draft(session, draft=draft)


def hidden(page: str, *names: str) -> dict[str, str]:
    """Hidden fields of a page, as a browser would send them back."""
    found = dict(re.findall(r'name="([a-z_]+)" value="([^"]*)"', page))
    return {name: found[name] for name in names}


def begin_draft(member: Member) -> dict[str, str]:
    """There is a draft, begun now; returns the fields by which it is known again."""
    if member.get(DRAFT).status_code == 200:
        member.post(f"{DRAFT}/discard", hidden(member.get(DRAFT).text, "draft_id", "revision"), form=DRAFT)
    assert member.post(f"{DRAFT}/start", form="/admin/rate-card").status_code == 303
    return seen(member)


def seen(member: Member) -> dict[str, str]:
    return hidden(member.get(DRAFT).text, "draft_id", "revision")


def set_price(member: Member, feature: str, known: Any = None, **fields: str) -> Any:
    """Send the form of one price; `known` is the draft that the person looks at."""
    path = f"{DRAFT}/rates/{feature}"
    known = known or hidden(member.get(path).text, "draft_id", "revision")
    return member.post(path, {**known, "step": "save", **fields})


def publish(member: Member, **fields: str) -> Any:
    """From the form to the confirmed act; returns the last answer, and what was sent with it."""
    path = f"{DRAFT}/publish"
    known = hidden(member.get(path).text, "draft_id", "revision")
    sent = {**known, "when": "now", "reason": "New year", **fields}
    shown = member.post(path, sent)
    assert shown.status_code == 200, shown.text
    sent |= {"step": "confirm", **hidden(shown.text, "submission")}
    return member.post(path, sent), sent


def lines(app: Flask, act: str) -> list[AuditLine]:
    with app.app_context(), unit_of_work() as session:
        found = list(session.scalars(select(AuditLine).where(AuditLine.act == act).order_by(AuditLine.id)))
        session.expunge_all()
    return found


Role = Callable[[str | None], Member]
