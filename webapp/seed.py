"""The demo: people to sign in as, one of them with a past. Sandbox mode only."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.api.keys import install_demo_key
from webapp.billing.free_plan import start_free
from webapp.catalog.install import install_shipped_catalog
from webapp.catalog.plan import Plan
from webapp.catalog.rate_book import quote
from webapp.database import unit_of_work
from webapp.people.sign_up import EmailTaken, sign_up
from webapp.people.user import User

DEMO_PASSWORD = "tallystick-demo"  # noqa: S105 - public on purpose, and in sandbox mode only
ADMIN = "admin@example.com"
ADA = "ada@example.com"
FREE = "free@example.com"

DAYS_OF_HISTORY = 30


class NotASandbox(Exception):
    """Demo people have a public password: they are not made where money is real."""


def N_(text: str) -> str:
    """Marks a text for translators that is stored in English and translated when it is shown."""
    return text


@dataclass(frozen=True, kw_only=True)
class Action:
    """Something that Ada did: `quantity` of `feature`, called `description`, `days_ago` days and some minutes ago."""

    days_ago: int
    minutes: int
    feature: str
    quantity: int
    description: str


@dataclass(frozen=True, kw_only=True)
class Given:
    """Credits that Ada was given `ago`, and that end `valid` from now on; that may be over, or never be."""

    source: str
    amount: int
    description: str
    ago: timedelta
    valid: timedelta | None
    cost_minor: int = 0


GRANTS = (
    Given(
        source="purchase",
        amount=2_000,
        description="Standard",
        ago=timedelta(days=31),
        valid=timedelta(days=240),
        cost_minor=2900,
    ),
    # on days on which she does nothing, so that the history stays in the order of time
    Given(
        source="promotion",
        amount=60,
        description=N_("Spring promotion"),
        ago=timedelta(days=28, hours=12),
        valid=-timedelta(days=26, hours=13),
    ),
    Given(
        source="promotion",
        amount=520,
        description=N_("Referral reward"),
        ago=timedelta(days=20, hours=12),
        valid=timedelta(days=70),
    ),
    Given(
        source="subscription",
        amount=1_000,
        description="Pro",
        ago=timedelta(days=18, hours=12),
        valid=timedelta(days=12),
        cost_minor=1200,
    ),
    Given(
        source="admin",
        amount=300,
        description=N_("With thanks for your patience"),
        ago=timedelta(days=5, hours=12),
        valid=None,
    ),
)


def seed_demo(app: Flask) -> list[str]:
    """The demo's catalog, people and key exist; returns the addresses that were missing.

    Each person is made with all of their history in one unit of work, or is left as they are. Raises NotASandbox.
    """
    if not app.config["SANDBOX"]:
        raise NotASandbox("The demo is for sandbox mode; STRIPE_SECRET_KEY is set here.")
    made = []
    with app.app_context():
        with unit_of_work() as session:
            if not ledger.clock_can_move(session):  # a shell may lack what the running instance was given
                raise NotASandbox("The demo is for sandbox mode, and this database was not set up in it.")
            install_shipped_catalog(session)
        with unit_of_work() as session:
            install_demo_key(session)
        for email, name, role in (
            (ADMIN, "Admin", "owner"),
            (ADA, "Ada Lovelace", None),
            (FREE, "Fred Free", None),
        ):
            if _make_person(email=email, name=name, role=role):
                made.append(email)
    return made


def _make_person(*, email: str, name: str, role: str | None) -> bool:
    """Whether the person was missing, and is there now."""
    try:
        with unit_of_work() as session:
            if session.scalars(select(User.id).where(User.email_key == email)).first() is not None:
                return False
            user = sign_up(session, email=email, password=DEMO_PASSWORD, name=name, role=role)
            if email == ADA:
                _give_ada_a_past(session, account_id=user.account_id, actor=user.actor)
            if email == FREE:
                plan = session.get(Plan, "free")
                if plan is not None and plan.active:
                    start_free(session, plan=plan, user=user, mode="sandbox")
    except EmailTaken:  # made by another process in this moment
        return False
    return True


def _give_ada_a_past(session: Session, *, account_id: int, actor: str) -> None:
    """Grants and spends in the order in which they happened, so that there was no day of hers without credits."""
    now = ledger.now(session)
    past: list[tuple[datetime, Given | Action]] = [(now - given.ago, given) for given in GRANTS]
    past += [(now - timedelta(days=done.days_ago, minutes=done.minutes), done) for done in _actions()]
    for number, (moment, what) in enumerate(sorted(past, key=lambda one: one[0]), start=1):
        if isinstance(what, Given):
            _give(session, what, account_id=account_id, actor=actor, moment=moment, now=now)
        else:
            _act(session, what, account_id=account_id, actor=actor, moment=moment, number=number)


def _act(session: Session, action: Action, *, account_id: int, actor: str, moment: datetime, number: int) -> None:
    found = quote(session, feature=action.feature, quantity=action.quantity)
    entry = ledger.spend(
        session,
        account_id=account_id,
        amount=found.credits,
        idempotency_key=f"demo:{number}",
        actor=actor,
        feature=action.feature,
        quantity=action.quantity,
        description=action.description,
        pricing=found.pricing,
        occurred_at=moment,
    ).entry
    if action.description == "Voice memo 7":
        ledger.refund_spend(
            session,
            account_id=account_id,
            seq=entry.seq,
            actor="support",
            reason=N_("The work failed, so nothing is charged"),
            idempotency_key=f"demo:{number}:refund",
        )


def _give(session: Session, given: Given, *, account_id: int, actor: str, moment: datetime, now: datetime) -> None:
    ledger.grant(
        session,
        account_id=account_id,
        amount=given.amount,
        source=given.source,
        source_key=f"demo:{given.description}",
        actor=actor if given.source == "purchase" else given.source,
        expires_at=None if given.valid is None else now + given.valid,
        cost_minor=given.cost_minor,
        cost_currency="EUR" if given.cost_minor else None,
        description=given.description,
        occurred_at=moment,
    )


def _actions() -> Iterator[Action]:
    """A month of work, oldest first, the same every time."""
    chance = random.Random(1180)  # noqa: S311 - a demo
    works = {
        "chat-message": ["Lease of the mill", "Letter to R. FitzNeal", "Terms of delivery, German", "Annual report"],
        "image": ["Cover of the hazel report", "Five sketches of a notch", "Header for the newsletter"],
        "api-call": ["Nightly import", "Price update"],
        "export": ["Third quarter, all figures", "List of the accounts"],
    }
    quantities = {"chat-message": (3, 28), "image": (1, 4), "api-call": (10, 45), "export": (1, 2)}
    for days_ago in range(DAYS_OF_HISTORY, -1, -1):
        times = sorted((chance.randrange(5, 600) for _ in range(chance.choice([0, 1, 1, 2, 3]))), reverse=True)
        for minutes in times:
            feature = chance.choice(["chat-message", "chat-message", "image", "api-call", "export"])
            yield Action(
                days_ago=days_ago,
                minutes=minutes,
                feature=feature,
                quantity=chance.randint(*quantities[feature]),
                description=chance.choice(works[feature]),
            )
    yield Action(days_ago=0, minutes=3, feature="chat-message", quantity=24, description="Voice memo 7")
