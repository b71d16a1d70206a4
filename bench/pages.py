"""`python -m bench.pages [--write]`: how long each page takes the server, with millions of entries and accounts.

A database is built once by SQL: nearly all people have a little history, one has two million entries. Then each page
is asked for by many people in turn, inside this process, so that nothing but the application, PostgreSQL and Redis is
measured. Other work on the machine makes the times longer and leaves statements and processor time as they are.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from statistics import median, quantiles
from typing import Any

import psycopg
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select

from bench import admins, report
from bench.accounts import settle
from bench.people import GRANTS_EACH, RARE, make_people
from bench.servers import Servers, environment_of, private_servers

AIM_MS = 30.0
ASKERS = 100
WARM_UP = 5

_A_DAY = date.today() - timedelta(days=60)  # noqa: DTZ011 - any day with entries will do
EVERYBODYS = (
    "/pricing",
    "/credits",
    "/credits/history",
    "/credits/history?kind=grant",
    f"/credits/history?feature={RARE}",
    "/credits/entries/{newest}",
    "/credits/usage",
    "/credits/usage?range=90d",
    "/credits/usage?range=90d&feature=image&group=week",
    "/credits/playground?feature=image&quantity=3",
    "/packages/{package}/buy",
    "/plans/{plan}/subscribe",
    "/plan",
    "/settings",
    "/settings/security",
)
OF_MANY_ENTRIES = (
    f"/credits/history?from={_A_DAY}&to={_A_DAY}",
    "/credits/history?kind=spend&cursor={middle}",
)


@dataclass
class Asked:
    """One page, by many people: milliseconds by the clock and of the processor, and statements, of each request."""

    what: str
    aim_ms: float = AIM_MS
    milliseconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    statements: list[int] = field(default_factory=list)

    @property
    def p95_ms(self) -> float:
        return quantiles(self.milliseconds, n=20)[-1]


@dataclass(frozen=True)
class Asker:
    """A signed-in person, and what their pages' paths name."""

    client: FlaskClient
    newest: int
    account: int = 0
    account_name: str = ""

    def path(self, path: str) -> str:
        of_shop = {"package": "starter", "plan": "pro"}
        of_account = {"account": self.account, "account_name": self.account_name}
        return path.format(newest=self.newest, middle=self.newest // 2, **of_account, **of_shop)


def main() -> int:
    options = _options()
    machine = report.machine()
    print(machine, flush=True)
    print(f"building {options.people:,} people with {options.entries:,} entries …", flush=True)
    with private_servers() as servers:
        built = build(servers, people=options.people, entries=options.entries)
        lines = measure(servers, built=built)
    text = table(lines)
    slow = [report.address(line.what) for line in lines if line.p95_ms > line.aim_ms]
    aims = f"at most {AIM_MS:.0f} ms, of those of admins {admins.AIM_MS:.0f} ms"
    aim = f"Aim: p95 of every page {aims}: " + ("met." if not slow else f"not by {', '.join(slow)}.")
    size = f"{options.people:,} people, {options.entries:,} entries, {built.longest:,} of them in one account."
    report.tell("python -m bench.pages", machine, f"{text}\n\n{size} {aim}", write=options.write)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="append the result to docs/benchmarks.md")
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--entries", type=int, default=10_000_000)
    return parser.parse_args()


@dataclass(frozen=True)
class Built:
    """The account ids of the many, from and to, that of the one with a long history, and the spends of each of them."""

    many: tuple[int, int]
    spends: int
    one: int
    longest: int


def build(servers: Servers, *, people: int, entries: int) -> Built:
    """A fifth of the entries is one person's; the others share the rest."""
    longest = max(entries // 5, 1)
    spends = max(entries * 4 // 5 // people - GRANTS_EACH, 1)
    many = make_people(servers.superuser_url, prefix="many-", people=people, spends=spends)
    one, _ = make_people(servers.superuser_url, prefix="one-", people=1, spends=longest)
    settle(servers.superuser_url)
    sum_up(servers.superuser_url)
    return Built(many, spends, one, longest)


def sum_up(superuser_url: str) -> None:
    """What the job `sum_usage` does every ten minutes."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        while connection.execute("SELECT entries FROM ledger.sum_usage(10000, 20, 100000)").fetchone() != (0,):
            pass
        connection.execute("ANALYZE ledger.usage_sums")


def measure(servers: Servers, *, built: Built) -> list[Asked]:
    """Each page by a hundred people once, and by the one with the long history as often."""
    from webapp import create_app
    from webapp.catalog.install import install_shipped_catalog
    from webapp.config import Settings
    from webapp.database import unit_of_work
    from webapp.garbage import collect_seldom

    app = create_app(Settings.from_environment(environment_of(servers, port=8000)))
    collect_seldom()  # as webapp.wsgi does
    with app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
    admins.make_sales(servers.superuser_url)
    settle(servers.superuser_url)
    chance = random.Random(1)
    everybody = range(built.many[0], built.many[1] + 1)
    ids = chance.sample(everybody, min(ASKERS, len(everybody)))
    few = [Asker(client, GRANTS_EACH + built.spends) for client in sign_in(app, ids)]
    long = [Asker(client, GRANTS_EACH + built.longest) for client in sign_in(app, [built.one])] * ASKERS
    with statements_of(app) as sent:
        lines = [ask(path, few, sent=sent) for path in EVERYBODYS]
        lines += [ask(path, long, sent=sent, whose="long: ") for path in (*EVERYBODYS[1:], *OF_MANY_ENTRIES)]
        admins.make_owner(servers.superuser_url, account_id=ids[0])
        return lines + list(as_owner(few[0].client, ids, built, sent=sent))


def as_owner(client: FlaskClient, ids: list[int], built: "Built", *, sent: list[str]) -> Iterator[Asked]:
    """The pages of admins, about another account each time, and about the one with the long history."""
    first = built.many[0]
    many = [Asker(client, GRANTS_EACH + built.spends, one, f"many-{one - first + 1}") for one in ids]
    one = [Asker(client, GRANTS_EACH + built.longest, built.one, "one-1")] * len(many)
    for path in (*admins.LISTS, *admins.OF_ONE_ACCOUNT, *admins.SEARCHES, *admins.OTHERS):
        yield ask(path, many, sent=sent, aim_ms=admins.AIM_MS)
    for path in admins.OF_ONE_ACCOUNT:
        yield ask(path, one, sent=sent, whose="long: ", aim_ms=admins.AIM_MS)


def ask(path: str, askers: list[Asker], *, sent: list[str], whose: str = "", aim_ms: float = AIM_MS) -> Asked:
    """The page as each of them gets it, after a few that are not counted. A search may lead on to what it found."""
    found = Asked(f"{whose}`{path}`", aim_ms)
    warming = askers[:WARM_UP]
    for number, asker in enumerate([*warming, *askers], -len(warming)):
        sent.clear()
        processor, began = time.process_time(), time.perf_counter()
        answer = asker.client.get(asker.path(path))
        taken, used = time.perf_counter() - began, time.process_time() - processor
        if answer.status_code not in (200, 303):
            raise RuntimeError(f"{asker.path(path)} answered {answer.status}.")
        if number >= 0:
            found.milliseconds.append(taken * 1000)
            found.processor.append(used * 1000)
            found.statements.append(len(sent))
    print(f"{found.what}: p95 {found.p95_ms:.1f} ms", flush=True)
    return found


def sign_in(app: Flask, account_ids: list[int]) -> Iterator[FlaskClient]:
    """A browser for each of them, in the order of the ids."""
    from webapp.database import unit_of_work
    from webapp.people import sessions
    from webapp.people.user import User

    with app.app_context(), unit_of_work() as session:
        users = {
            user.account_id: user.id for user in session.scalars(select(User).where(User.account_id.in_(account_ids)))
        }
        tokens = [
            sessions.start(session, user_id=users[account_id], stay=True, ip="", user_agent="bench")
            for account_id in account_ids
        ]
    for token in tokens:
        client = app.test_client()
        with client.session_transaction() as cookie:
            cookie.update(_user_id=token, _fresh=True)
        yield client


@contextmanager
def statements_of(app: Flask) -> Iterator[list[str]]:
    """Every statement that the application sends within the block."""
    from webapp.extensions import db

    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


def table(lines: list[Asked]) -> str:
    rows = [
        "| page | p50 ms | p95 ms | of it Python's processor, p50 ms | statements, at most |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for line in lines:
        figures = f"{median(line.milliseconds):.1f} | {line.p95_ms:.1f} | {median(line.processor):.1f}"
        rows.append(f"| {report.address(line.what)} | {figures} | {max(line.statements)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
