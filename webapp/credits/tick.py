"""The quiet tick: 204 for a tab whose balance has not changed, before Flask has even seen the request.

A thousand open tabs ask more than a thousand times a second, and nearly always nothing has happened. Such a tick is a
signature that this process has checked before and a version that it knows from Redis (known_versions.py); the person is
not looked up, and nothing is told but that the version asked about is the present one. What the process does not know
is asked of Redis, and what Redis does not know of the ledger, by one statement. Everything else, a forged ticket above
all, goes on to Flask as if this were not here.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qs

import structlog
from flask import Flask
from itsdangerous import BadSignature
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.credits.known_versions import KnownVersions
from webapp.credits.live import keys_of, remember, signer, version_of
from webapp.database import AUTOCOMMIT, engine_at
from webapp.metrics import REQUESTS
from webapp.queue import ask

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = structlog.get_logger()

# The live fragment of the pages, and the one that other sites may frame.
PATHS = ("/credits/balance", "/embed/balance/live")
_HEADERS = [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]
_KNOWN_TICKETS = 100_000


class QuietTicks:
    """The WSGI application of `app` with this layer around it."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._next: WSGIApplication = app.wsgi_app
        self._account_of = lru_cache(maxsize=_KNOWN_TICKETS)(self._loads)
        self._known = app.extensions["known_versions"] = KnownVersions(self._redis)
        self._counted = {path: REQUESTS.labels("GET", path, "204") for path in PATHS}

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ.get("PATH_INFO")
        if path in PATHS and environ["REQUEST_METHOD"] == "GET" and self._is_quiet(environ.get("QUERY_STRING", "")):
            self._counted[path].inc()
            start_response("204 No Content", _HEADERS)
            return ()
        return self._next(environ, start_response)

    def _is_quiet(self, query: str) -> bool:
        """Whether the version `v` is the present one of the account that the ticket `a` names."""
        if len(query) > 1_000 or query.count("&") > 5:
            return False
        given = parse_qs(query)
        version, ticket = given.get("v", [""])[0], given.get("a", [""])[0]
        if not version or not ticket:
            return False
        try:
            account_id = self._account_of(ticket)
            return (self._known.get(account_id) or self._ask_redis(account_id)) == version
        except (BadSignature, RedisError):
            return False

    def _ask_redis(self, account_id: int) -> str | None:
        """The present version, which this process knows from now on; of the ledger where Redis does not know it."""
        waiting = self._known.expect(account_id)
        known, marked, lasts_ms = self._read(account_id)
        mark = (marked or b"").decode()
        if known is None:
            return self._ask_ledger(account_id, mark=mark)
        version = version_of(known, mark=mark)
        if version is not None:
            self._known.keep(account_id, waiting, version=version, lasts_ms=lasts_ms)
        return version

    def _loads(self, ticket: str) -> int:
        with self._app.app_context():
            return cast(int, signer().loads(ticket))

    @property
    def _redis(self) -> Redis:
        return cast(Redis, self._app.extensions["redis"])

    def _read(self, account_id: int) -> tuple[bytes | None, bytes | None, int]:
        """What Redis knows, the newest mark, and for how many milliseconds it is known."""
        known_key, mark_key = keys_of(account_id)
        known, marked = ask(self._redis, "MGET", known_key, mark_key)
        return known, marked, 0 if known is None else ask(self._redis, "PTTL", known_key)

    def _ask_ledger(self, account_id: int, *, mark: str) -> str | None:
        """The present version, which Redis knows from now on; None when the database did not say."""
        try:
            with self._app.app_context(), Session(engine_at(AUTOCOMMIT)) as session:
                lasting = ledger.balance_until(session, account_id=account_id)
        except (SQLAlchemyError, ledger.LedgerRefusal) as error:
            log.warning("tick_without_ledger", error=type(error).__name__)
            return None
        remember(self._redis, account_id, mark=mark, version=lasting.balance.version, lasts_ms=lasting.lasts_ms)
        return lasting.balance.version
