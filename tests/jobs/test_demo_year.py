"""A year of the demo's people: every renewal, grant, end and mail, each once and on its day."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import select

from jobs import advance_time as advancing
from jobs.schedule import SCHEDULE
from tests.billing.plans import assert_ledger_sound
from tests.conftest import TestServers
from tests.stripe_sandbox.conftest import serve
from webapp import clock, ledger
from webapp.billing.entitlement import Entitlement, EntitlementPeriod
from webapp.billing.subscription import Subscription, SubscriptionInvoice
from webapp.catalog.validity import add_months
from webapp.database import unit_of_work
from webapp.ledger import Entry
from webapp.outbox import OutboxRow
from webapp.people.user import User
from webapp.seed import ADA, FREE, LEE, seed_demo
from webapp.stripe_sandbox import create_sandbox, install

DAYS = 400
STEP = timedelta(days=4)  # the command goes by days; what falls due in four is done in its order, too
# What a quiet demo has nothing to do for is left to its own tests: a year has four hundred nights.
NOT_EACH_NIGHT = ("verify_ledger", "seal_ledger", "reconcile_stripe", "grant_campaigns", "sweep_outbox")


@dataclass(frozen=True, kw_only=True)
class Year:
    """The demo, 400 days after it was seeded at `began`."""

    app: Flask
    began: datetime

    def user(self, email: str) -> User:
        with self.app.app_context(), unit_of_work() as session:
            user = session.scalars(select(User).where(User.email_key == email)).one()
            session.expunge(user)
            return user

    def story(self, email: str) -> list[Entry]:
        """All entries, oldest first."""
        account_id = self.user(email).account_id
        with self.app.app_context(), unit_of_work() as session:
            page = ledger.entries(session, account_id=account_id, limit=200)
            found = list(page.entries)
            while page.next_before is not None:
                page = ledger.entries(session, account_id=account_id, limit=200, before=page.next_before)
                found += page.entries
            return found[::-1]

    def periods(self, email: str, plan: str) -> list[EntitlementPeriod]:
        account_id = self.user(email).account_id
        with self.app.app_context(), unit_of_work() as session:
            found = list(
                session.scalars(
                    select(EntitlementPeriod)
                    .join(Entitlement, Entitlement.id == EntitlementPeriod.entitlement_id)
                    .where(EntitlementPeriod.account_id == account_id, Entitlement.plan == plan)
                    .order_by(EntitlementPeriod.starts_at)
                )
            )
            session.expunge_all()
            return found

    def mails(self, email: str) -> list[OutboxRow]:
        user = self.user(email)
        with self.app.app_context(), unit_of_work() as session:
            rows = session.scalars(
                select(OutboxRow)
                .where(OutboxRow.job == "send_mail", OutboxRow.created_at >= self.began)
                .order_by(OutboxRow.id)
            ).all()
            session.expunge_all()
            return [row for row in rows if row.args.get("user_id") == user.id]


@pytest.fixture(scope="module")
def year(server_addresses: tuple[str, str, Path], make_app: Callable[..., Flask]) -> Iterator[Year]:
    from tests.conftest import _new_database

    servers: TestServers = _new_database(server_addresses)
    install(servers.owner_url)

    def sandbox(url: str) -> Flask:
        return create_sandbox(
            dsn=servers.database_url, base_url=url, webhook_url=None, webhook_secret="x", background=False
        )

    with serve(sandbox) as url, pytest.MonkeyPatch.context() as patch:
        clock.forget()
        app = make_app(servers, STRIPE_API_BASE=url)
        seed_demo(app)
        kept = tuple(one for one in SCHEDULE if one.name not in (*NOT_EACH_NIGHT, *_tidying()))
        patch.setattr("jobs.run_periodic.SCHEDULE", kept)
        patch.setattr(advancing, "STEP", STEP)
        patch.setattr("webapp.outbox.drop_done", lambda *_, **__: 0)  # the mails of the year are counted at its end
        with app.app_context():
            with unit_of_work() as session:
                began = ledger.now(session)
            for _moment in advancing.advance_time(by=timedelta(days=DAYS)):
                pass
        yield Year(app=app, began=began)
        clock.forget()


def _tidying() -> tuple[str, ...]:
    return tuple(one.name for one in SCHEDULE if one.name.startswith("tidy_"))


@pytest.fixture(autouse=True)
def clock_of_the_year(year: Year, clock_of_no_other_test: None) -> None:
    with year.app.app_context(), unit_of_work() as session:
        clock.follow(session, movable=True, at_once=True)


def test_the_subscription_renews_each_month_on_its_day(year: Year) -> None:
    periods = year.periods(ADA, "pro")
    anchor = periods[0].starts_at
    assert [one.starts_at for one in periods] == [add_months(anchor, number) for number in range(len(periods))]
    assert all(one.ends_at == following.starts_at for one, following in pairwise(periods))
    assert len([one for one in periods if one.starts_at > year.began]) in (13, 14)
    with year.app.app_context(), unit_of_work() as session:
        invoices = session.scalars(select(SubscriptionInvoice)).all()
        assert len(invoices) == len(periods)
        assert {one.status for one in invoices} == {"paid"}
        assert len({one.stripe_invoice_id for one in periods}) == len(periods)  # each month was paid by its own
        assert session.scalars(select(Subscription.status)).all() == ["active"]


@pytest.mark.parametrize(("email", "plan", "credits"), [(FREE, "free", 100), (LEE, "lifetime", 300)])
def test_the_calendar_grants_each_month_on_its_day(year: Year, email: str, plan: str, credits: int) -> None:
    periods = year.periods(email, plan)
    anchor = periods[0].starts_at.astimezone(ZoneInfo(year.user(email).time_zone))
    assert [one.starts_at for one in periods] == [add_months(anchor, number) for number in range(len(periods))]
    assert {one.credits for one in periods} == {credits}
    assert len([one for one in periods if one.starts_at > year.began]) == 13
    granted = [entry for entry in year.story(email) if entry.kind == "grant"]
    assert [entry.occurred_at for entry in granted] == [one.starts_at for one in periods]


@pytest.mark.parametrize("email", [ADA, FREE, LEE])
def test_the_history_is_a_story_without_a_gap(year: Year, email: str) -> None:
    story = year.story(email)
    assert [entry.seq for entry in story] == list(range(1, len(story) + 1))
    assert all(entry.balance_after == before.balance_after + entry.amount for before, entry in pairwise(story))
    assert story == sorted(story, key=lambda entry: entry.occurred_at)
    for entry in story:
        assert timedelta(0) <= entry.booked_at - entry.occurred_at <= STEP + timedelta(hours=1), entry
    user = year.user(email)
    with year.app.app_context(), unit_of_work() as session:
        assert ledger.balance(session, account_id=user.account_id).balance == sum(entry.amount for entry in story)


def test_what_a_month_leaves_goes_on_in_the_next_and_no_further(year: Year) -> None:
    """Nothing is spent in that year: a thousand goes on each month, and the thousand before it ends."""
    story = [entry for entry in year.story(ADA) if entry.occurred_at > year.began + timedelta(days=45)]
    months = [entry for entry in story if entry.kind == "grant" and entry.about_seq is None]
    carried = [entry for entry in story if entry.kind == "grant" and entry.about_seq is not None]
    assert [entry.amount for entry in months] == [entry.amount for entry in carried] == [1_000] * len(months)
    assert [entry.occurred_at for entry in months] == [entry.occurred_at for entry in carried]
    ended = Counter(entry.occurred_at for entry in story if entry.kind == "expire" and entry.amount == -1_000)
    assert {ended[entry.occurred_at] for entry in months} == {2}


@pytest.mark.parametrize("email", [ADA, FREE, LEE])
def test_each_mail_is_sent_once_and_tells_what_happened(year: Year, email: str) -> None:
    rows = year.mails(email)
    assert all(row.done_at is not None for row in rows)
    told: dict[str, list[int]] = {}
    for row in rows:
        told.setdefault(row.args["mail"], []).extend(grant for grant, _credits in row.args["grants"])
    assert all(max(Counter(grants).values()) == 1 for grants in told.values())
    story = {entry.seq: entry for entry in year.story(email) if entry.occurred_at > year.began}
    granted = [seq for seq, entry in story.items() if entry.kind == "grant" and entry.about_seq is None]
    assert sorted(told["credits_granted"]) == granted
    lost = Counter[int]()
    for entry in story.values():
        if entry.kind in ("expire", "grant") and entry.about_seq is not None:  # what goes on comes back as a grant
            lost[entry.about_seq] -= entry.amount
    mails = [row.args["grants"] for row in rows if row.args["mail"] == "credits_expired"]
    mailed = {grant: credits for grants in mails for grant, credits in grants}
    assert mailed == {grant: credits for grant, credits in lost.items() if credits > 0}


def test_each_mail_is_a_file_in_the_language_of_its_reader(year: Year) -> None:
    folder = year.app.config["SETTINGS"].data_dir / "mail"
    found = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in folder.glob("*.eml")]
    for email in (ADA, FREE, LEE):
        mine = [one for one in found if one["To"] == email]
        assert len(mine) == len(year.mails(email))
        assert all(one.is_multipart() and one["List-Unsubscribe"] for one in mine)
    subjects = {one["Subject"] for one in found if one["To"] == FREE}
    assert subjects == {"You have 100 new credits", "100 credits expire soon", "100 credits have expired"}


def test_the_books_are_sound_after_all_of_it(year: Year) -> None:
    assert_ledger_sound(year.app)
