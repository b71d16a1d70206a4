"""`python -m bench.lookups [--write]`, a minute: what looking texts up in the catalogs costs a page, in each language.

Each page is asked for inside this process, and what it looks up is noted; then the same lookups are made alone, in a
request of their own. To choose the language is not among them: a page does that for its numbers and dates as well.
Only processor time of this process counts, which other work on the machine does not lengthen; what PostgreSQL takes
of a page is left out, so that the share is rather too great than too small.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from statistics import mean
from typing import Any

from flask import Flask
from flask_babel import get_locale, get_translations

from bench import report
from bench.accounts import settle
from bench.pages import EVERYBODYS, Asker, sign_in
from bench.people import GRANTS_EACH, make_people
from bench.servers import environment_of, private_servers

AIM = 0.03
SPENDS = 60
WARM_UP = 4

# How the catalog is found, what of it is called, and with what.
Lookup = tuple[Callable[[], Any], Callable[[Any], Any], tuple[Any, ...]]


@dataclass(frozen=True)
class Looked:
    """One page in one language: milliseconds of the processor for the whole of it, and for its lookups alone."""

    path: str
    tag: str
    lookups: int
    page_ms: float
    lookups_ms: float


class Noting:
    """Stands before a catalog and keeps what it is asked for."""

    def __init__(self, catalog: Any, found_by: Callable[[], Any], noted: list[Lookup]) -> None:
        self._catalog, self._found_by, self._noted = catalog, found_by, noted

    def __getattr__(self, name: str) -> Any:
        if name != "marked" and not name.endswith("gettext"):
            return getattr(self._catalog, name)
        called = attrgetter(name)

        def ask(*args: Any) -> Any:
            self._noted.append((self._found_by, called, args))
            return called(self._catalog)(*args)

        return ask


def main() -> int:
    options = _options()
    machine = report.machine()
    print(machine, flush=True)
    with private_servers() as servers:
        first, _last = make_people(servers.superuser_url, prefix="many-", people=3, spends=SPENDS)
        settle(servers.superuser_url)
        app = make_app(environment_of(servers, port=8000))
        (client,) = sign_in(app, [first])
        looked = list(measure(app, Asker(client, GRANTS_EACH + SPENDS), rounds=options.rounds))
    report.tell("python -m bench.lookups", machine, f"{table(looked)}\n\n{verdict(looked)}", write=options.write)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="append the result to docs/benchmarks.md")
    parser.add_argument("--rounds", type=int, default=20, help="how often each page is asked for in each language")
    return parser.parse_args()


def make_app(environment: dict[str, str]) -> Flask:
    from webapp import create_app
    from webapp.catalog.install import install_shipped_catalog
    from webapp.config import Settings
    from webapp.database import unit_of_work

    app: Flask = create_app(Settings.from_environment(environment))
    with app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
    return app


def measure(app: Flask, asker: Asker, *, rounds: int) -> Iterator[Looked]:
    for tag in app.config["SETTINGS"].locales:
        speak(app, tag)
        for path in EVERYBODYS:
            yield look(app, asker, path, tag=tag, rounds=rounds)


def speak(app: Flask, tag: str) -> None:
    """Everybody has chosen this language."""
    from sqlalchemy import update

    from webapp.database import unit_of_work
    from webapp.people.user import User

    with app.app_context(), unit_of_work() as session:
        session.execute(update(User).values(locale=tag))


def look(app: Flask, asker: Asker, path: str, *, tag: str, rounds: int) -> Looked:
    """The page, and what it looks up, as often; the least times of both, which other work did not lengthen."""
    address = asker.path(path)
    for _ in range(WARM_UP):
        asker.client.get(address)
    with noted_lookups() as noted:
        asker.client.get(address)  # what is kept from one page to the next is looked up once
        noted.clear()
        answer = asker.client.get(address)
    if answer.status_code != 200 or f'lang="{tag}"' not in answer.text:
        raise RuntimeError(f"{address} in {tag} answered {answer.status}.")
    pages = [_processor_ms(lambda: asker.client.get(address)) for _ in range(rounds)]
    alone = []
    for _ in range(rounds):
        with app.test_request_context(address, headers={"Accept-Language": tag}):
            get_locale()
            alone.append(_processor_ms(lambda: look_up(noted)))
    return Looked(path, tag, len(noted), min(pages), min(alone))


def _processor_ms(work: Any) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


def look_up(lookups: list[Lookup]) -> None:
    """As templates and views do: the catalog of the reader's language is found anew for each."""
    for find, called, args in lookups:
        called(find())(*args)


@contextmanager
def noted_lookups() -> Iterator[list[Lookup]]:
    """Every text that is looked up within the block."""
    from webapp.i18n.catalogs import LiveDomain

    noted: list[Lookup] = []
    standing: dict[tuple[int, bool], Noting] = {}
    found = LiveDomain.get_translations

    def noting(self: Any) -> Any:
        by_library = sys._getframe(1).f_globals["__name__"] == "flask_babel"
        catalog = found(self)
        found_by = get_translations if by_library else partial(found, self)
        return standing.setdefault((id(catalog), by_library), Noting(catalog, found_by, noted))

    LiveDomain.get_translations = noting  # type: ignore[method-assign]
    try:
        yield noted
    finally:
        LiveDomain.get_translations = found  # type: ignore[method-assign]


def table(looked: list[Looked]) -> str:
    """A line for each page, in all languages: other work disturbs each figure, and their sum less."""
    rows = [
        "| page | lookups | of the processor, ms | lookups alone, ms | share |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for path, of_page in by_page(looked).items():
        page, alone = (mean(getattr(one, what) for one in of_page) for what in ("page_ms", "lookups_ms"))
        figures = f"{of_page[0].lookups} | {page:.1f} | {alone:.2f} | {share_of(of_page):.1%}"
        rows.append(f"| `{report.address(path)}` | {figures} |")
    return "\n".join(rows)


def verdict(looked: list[Looked]) -> str:
    above = [path for path, of_page in by_page(looked).items() if share_of(of_page) > AIM]
    met = "met" if not above else f"not by {', '.join(above)}"
    tags = len({one.tag for one in looked})
    return f"Means of {tags} languages. All pages: {share_of(looked):.1%}. Aim: at most {AIM:.0%} of each page: {met}."


def by_page(looked: list[Looked]) -> dict[str, list[Looked]]:
    return {path: [one for one in looked if one.path == path] for path in dict.fromkeys(one.path for one in looked)}


def share_of(looked: list[Looked]) -> float:
    return sum(one.lookups_ms for one in looked) / sum(one.page_ms for one in looked)


if __name__ == "__main__":
    sys.exit(main())
