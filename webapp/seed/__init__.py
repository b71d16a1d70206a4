"""The demo: people to sign in as, some of them with a past. Sandbox mode only."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp import clock, ledger
from webapp.api.keys import install_demo_key
from webapp.billing.free_plan import start_free
from webapp.billing.stripe_api import mode
from webapp.catalog.install import install_shipped_catalog
from webapp.catalog.plan import Plan
from webapp.database import unit_of_work
from webapp.people.sign_up import EmailTaken, sign_up
from webapp.people.user import User
from webapp.seed import ada, lee
from webapp.seed.past import Act, relive

DEMO_PASSWORD = "tallystick-demo"  # noqa: S105 - public on purpose, and in sandbox mode only
ADMIN = "admin@example.com"
ADA = ada.EMAIL
FREE = "free@example.com"
LEE = lee.EMAIL


class NotASandbox(Exception):
    """Demo people have a public password: they are not made where money is real."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody to sign in as. `signed_up_at` and `deeds` are their past, by the present; None is a new one."""

    email: str
    name: str
    role: str | None = None
    signed_up_at: Callable[[datetime], datetime] | None = None
    deeds: Callable[[datetime], list[tuple[datetime, Act]]] | None = None


PEOPLE = (
    Person(email=ADMIN, name="Admin", role="owner"),
    Person(email=FREE, name="Fred Free"),
    Person(email=ADA, name=ada.NAME, signed_up_at=ada.signed_up_at, deeds=ada.deeds),
    Person(email=LEE, name=lee.NAME, signed_up_at=lee.signed_up_at, deeds=lee.deeds),
)


def seed_demo(app: Flask) -> list[str]:
    """The demo's catalog, people and key exist; returns the addresses that were missing.

    Each person is made with all of their history in one unit of work, or is left as they are. Raises NotASandbox, and
    PaymentsUnavailable where the sandbox is set to fail; the one who was being made is missing then.
    """
    if not app.config["SANDBOX"]:
        raise NotASandbox("The demo is for sandbox mode; STRIPE_SECRET_KEY is set here.")
    with app.app_context():
        with unit_of_work() as session:
            if not ledger.clock_can_move(session):  # a shell may lack what the running instance was given
                raise NotASandbox("The demo is for sandbox mode, and this database was not set up in it.")
            install_shipped_catalog(session)
        with unit_of_work() as session:
            install_demo_key(session)
        return [person.email for person in PEOPLE if _make_person(app, person)]


def _make_person(app: Flask, person: Person) -> bool:
    """Whether the person was missing, and is there now."""
    try:
        with unit_of_work() as session:
            if _is_there(session, person):
                return False
            if person.signed_up_at is None or person.deeds is None:
                _begin(session, person)
                return True
            with relive(app, session) as past:
                past.be_at(None)  # whoever else makes them has finished after this
                if _is_there(session, person):
                    return False
                now = clock.now()
                past.be_at(person.signed_up_at(now))
                past.user = _sign_up(session, person)
                past.live(person.deeds(now))
    except EmailTaken:  # made by another process in this moment
        return False
    return True


def _is_there(session: Session, person: Person) -> bool:
    return session.scalars(select(User.id).where(User.email_key == person.email)).first() is not None


def _begin(session: Session, person: Person) -> None:
    """Somebody who is here for the first time; Fred is on the free plan."""
    user = _sign_up(session, person)
    plan = session.get(Plan, "free") if person.email == FREE else None
    if plan is not None and plan.active:
        start_free(session, plan=plan, user=user, mode=mode())


def _sign_up(session: Session, person: Person) -> User:
    return sign_up(session, email=person.email, password=DEMO_PASSWORD, name=person.name, role=person.role)
