"""`python -m bench.tabs [--write]`, a minute: a thousand open tabs, and how soon each shows what was spent elsewhere.

The tabs ask as static/js/tallystick.js does, over connections that stay open, each about an account of its own. First
nothing happens, then the API spends from some of the accounts. A change is visible when its tab has the new balance;
the time runs from the moment in which the spend was sent. Processor time is what /proc says of the processes, so it
holds on a busy machine, too, where times do not.
"""

import argparse
import asyncio
import json
import random
import re
import time
from collections import deque
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import psutil

from bench import report
from bench.servers import environment_of, make_key, private_servers, web
from webapp import clock, create_app, ledger
from webapp.config import Settings
from webapp.database import unit_of_work
from webapp.embedded.servers import Servers
from webapp.people import sessions
from webapp.people.user import User

SCRIPT = Path(__file__).parents[1] / "static" / "js" / "tallystick.js"
AT_ONCE = 8
_TAG = re.compile(r'<a [^>]*id="balance"[^>]*>')
_AVAILABLE = re.compile(r'data-available="(\d+)"')
_ASKS = re.compile(r'hx-get="([^"]+)"')


def interval() -> float:
    """How many seconds a tab waits between two questions, as the script has it."""
    found = re.search(r"setInterval\(tick, (\d+)\)", SCRIPT.read_text(encoding="utf-8"))
    assert found, "the script does not say how often it asks"
    return int(found[1]) / 1000


class Connection:
    """HTTP/1.1 over one socket that stays open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def forget(self) -> None:
        """The next question goes over a new socket."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def ask(self, request: bytes) -> tuple[int, str]:
        """The status and the body of the answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = re.search(r"content-length: (\d+)", head)
        body = await reader.readexactly(int(length[1])) if length else b""
        return int(head.split(" ", 2)[1]), body.decode()


@dataclass
class Tab:
    """One open page: what it shows, and since when it waits for something else."""

    account: str
    cookie: str
    connection: Connection
    shows: int = 0
    address: str = "/credits/balance"
    expects: int | None = None
    since: float = 0.0

    async def open(self) -> None:
        status, body = await self.connection.ask(_get(self.address, f"Cookie: tallystick={self.cookie}"))
        assert status == 200, (status, body[:200])
        self._take(body)

    async def stay(self, seen: "Seen", *, every: float) -> None:
        """Ask for ever; the first time at any moment of the interval."""
        due = time.perf_counter() + random.uniform(0, every)
        while True:
            await asyncio.sleep(due - time.perf_counter())
            began = time.perf_counter()
            try:
                status, body = await self.connection.ask(_get(self.address, f"Cookie: tallystick={self.cookie}"))
            except (OSError, asyncio.IncompleteReadError):  # as a browser, it asks again over a new connection
                status, body = 0, ""
                self.connection.forget()
            ended = time.perf_counter()
            seen.ticks.append(ended - began)
            seen.statuses[status] = seen.statuses.get(status, 0) + 1
            if status == 200:
                self._take(body)
                if self.shows == self.expects:
                    seen.visible.append(ended - self.since)
                    self.expects = None
            due = max(due + every, ended)

    def _take(self, body: str) -> None:
        tag = _TAG.search(body)
        assert tag, body[:200]
        self.shows = int(_AVAILABLE.search(tag[0])[1])  # type: ignore[index]
        self.address = unescape(_ASKS.search(tag[0])[1])  # type: ignore[index]


@dataclass
class Seen:
    """What the tabs saw in one phase; seconds."""

    ticks: list[float] = field(default_factory=list)
    visible: list[float] = field(default_factory=list)
    spends: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)


def _get(path: str, *headers: str) -> bytes:
    more = "".join(f"{header}\r\n" for header in headers)
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}HX-Request: true\r\n\r\n".encode()


def make_people(servers: Servers, count: int) -> list[tuple[str, str]]:
    """(external id, cookie) of so many people who are signed in and have credits."""
    app = create_app(Settings.from_environment(environment_of(servers, port=8000)))
    signer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    people = []
    with app.app_context():
        for number in range(count):
            with unit_of_work() as session:
                account, _ = ledger.open_account(session, external_id=f"tab-{number}")
                ledger.grant(
                    session,
                    account_id=account.account_id,
                    amount=1_000_000,
                    source="bench",
                    source_key="all",
                    actor="b",
                )
                user = User(
                    email=f"tab-{number}@bench.example.com",
                    email_key=f"tab-{number}@bench.example.com",
                    password_hash="nobody logs in",
                    name="",
                    locale="en",
                    time_zone="UTC",
                    account_id=account.account_id,
                    external_id=account.external_id,
                    created_at=clock.now(),
                    password_changed_at=clock.now(),
                )
                session.add(user)
                session.flush()
                token = sessions.start(session, user_id=user.id, stay=False, ip="", user_agent="")
            people.append((account.external_id, signer.dumps({"_user_id": token, "_fresh": True})))
    return people


async def spend_elsewhere(
    tabs: list[Tab], seen: Seen, *, port: int, secret: str, per_second: float, seconds: float
) -> None:
    """The API spends from accounts whose tabs wait for nothing."""
    free = deque(Connection(port) for _ in range(AT_ONCE))
    ends = time.perf_counter() + seconds
    due = time.perf_counter()
    tasks = set()
    while (due := due + random.expovariate(per_second)) < ends:
        await asyncio.sleep(max(due - time.perf_counter(), 0))
        waiting = [tab for tab in random.sample(tabs, 50) if tab.expects is None]
        if waiting and free:
            task = asyncio.create_task(_spend(waiting[0], free, secret, seen))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)


async def _spend(tab: Tab, free: "deque[Connection]", secret: str, seen: Seen) -> None:
    connection = free.popleft()
    body = json.dumps({"account": tab.account, "amount": 1, "description": "bench"})
    tab.expects, tab.since = tab.shows - 1, time.perf_counter()
    status, answer = await connection.ask(
        f"POST /api/v1/spends HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\n"
        f"Idempotency-Key: {random.getrandbits(64):x}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    assert status == 201, (status, answer)
    seen.spends.append(time.perf_counter() - tab.since)
    free.append(connection)


def processor_seconds() -> dict[str, float]:
    """What each kind of process below this one has used so far."""
    used = {"web": 0.0, "Redis": 0.0, "PostgreSQL": 0.0}
    for process in psutil.Process().children(recursive=True):
        try:
            name = process.name()
            kind = "PostgreSQL" if name == "postgres" else "Redis" if name.endswith("-server") else "web"
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        used[kind] += times.user + times.system
    return used


def bare(_environ: object, start_response: Any) -> tuple[bytes, ...]:
    """What the same server answers nothing with: the floor of a tick."""
    start_response("204 No Content", [("Cache-Control", "no-store")])
    return ()


async def floor(*, port: int, count: int, seconds: float) -> str:
    """As many tabs, and an application that does nothing."""
    seen = Seen()
    tabs = [
        Tab(account="", cookie="x" * 80, connection=Connection(port), address="/x?" + "v" * 40) for _ in range(count)
    ]
    staying = [asyncio.create_task(tab.stay(seen, every=interval())) for tab in tabs]
    await asyncio.sleep(3)
    seen.ticks.clear()
    before, began = processor_seconds(), time.perf_counter()
    await asyncio.sleep(seconds)
    took = time.perf_counter() - began
    used = processor_seconds()["web"] - before["web"]
    for task in staying:
        task.cancel()
    await asyncio.gather(*staying, return_exceptions=True)
    ticks = f"{_at(seen.ticks, 0.5) * 1000:.1f} / {_at(seen.ticks, 0.95) * 1000:.1f}"
    rate = f"{len(seen.ticks) / took:,.0f}"
    return f"| floor: the same server, answering nothing | {rate} | {ticks} | | {100 * used / took:.0f} % | | |"


async def measure(people: list[tuple[str, str]], *, port: int, secret: str, per_second: float, seconds: float) -> str:
    every = interval()
    tabs = [Tab(account=account, cookie=cookie, connection=Connection(port)) for account, cookie in people]
    for start in range(0, len(tabs), AT_ONCE):
        await asyncio.gather(*(tab.open() for tab in tabs[start : start + AT_ONCE]))
    rows = [
        "| | ticks/s | tick p50/p95 ms | visible p50/p95 s | web | Redis | PostgreSQL |",
        "|---|---|---|---|---|---|---|",
    ]
    seen = Seen()
    staying = [asyncio.create_task(tab.stay(seen, every=every)) for tab in tabs]
    await asyncio.sleep(3)
    for name, rate in (("nothing changes", 0.0), (f"{per_second:g} changes a second", per_second)):
        seen.__init__()  # type: ignore[misc]
        before, began = processor_seconds(), time.perf_counter()
        if rate:
            await spend_elsewhere(tabs, seen, port=port, secret=secret, per_second=rate, seconds=seconds)
        else:
            await asyncio.sleep(seconds)
        took, ticked = time.perf_counter() - began, len(seen.ticks)
        used = {kind: after - before[kind] for kind, after in processor_seconds().items()}
        await asyncio.sleep(2 * every if rate else 0)
        visible = f"{_at(seen.visible, 0.5):.2f} / {_at(seen.visible, 0.95):.2f}" if seen.visible else ""
        ticks = f"{_at(seen.ticks, 0.5) * 1000:.1f} / {_at(seen.ticks, 0.95) * 1000:.1f}"
        shares = " | ".join(f"{100 * used[kind] / took:.0f} %" for kind in ("web", "Redis", "PostgreSQL"))
        rows.append(f"| {name} | {ticked / took:,.0f} | {ticks} | {visible} | {shares} |")
        missing = sum(tab.expects is not None for tab in tabs)
        print(name, dict(seen.statuses), f"{len(seen.visible)} became visible, {missing} did not", flush=True)
        if seen.spends:
            half, most = (_at(seen.spends, share) * 1000 for share in (0.5, 0.95))
            print(f"the spends themselves took {half:.0f} ms, {most:.0f} at p95", flush=True)
    for task in staying:
        task.cancel()
    failed = [one for one in await asyncio.gather(*staying, return_exceptions=True) if isinstance(one, Exception)]
    assert not failed, failed[:3]
    return "\n".join(rows)


def _at(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] if values else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="append the result to docs/benchmarks.md")
    parser.add_argument("--tabs", type=int, default=1_000)
    parser.add_argument("--changes", type=float, default=10, help="a second")
    parser.add_argument("--seconds", type=float, default=20, help="of each phase")
    options = parser.parse_args()
    machine = report.machine()
    print(machine, flush=True)
    with private_servers() as servers:
        people = make_people(servers, options.tabs)
        with web(servers, app=("bench.tabs:bare",)) as port:
            least = asyncio.run(floor(port=port, count=options.tabs, seconds=options.seconds))
        with web(servers) as port:
            secret = make_key(servers)
            rates = {"per_second": options.changes, "seconds": options.seconds}
            table = asyncio.run(measure(people, port=port, secret=secret, **rates))
        table += f"\n{least}"
    words = f"{options.tabs:,} tabs, each asking every {interval():g} s; processor time as shares of one core."
    report.tell("bench.tabs", machine, f"{words}\n\n{table}", write=options.write)


if __name__ == "__main__":
    main()
