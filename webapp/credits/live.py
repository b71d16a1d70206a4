"""The balance that every open tab shows, right within a second and cheap while nothing happens.

Each tab asks about once a second with the version that it shows, and webapp/credits/tick.py answers while that version
is the current one. What Redis knows of an account is a version, until the account would change by itself (credits
expire, a hold lapses) and for KNOWN_SECONDS at the most: so a publication that was lost heals by itself. Without Redis
the answer comes from SQL.
"""

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

import structlog
from flask import Flask, current_app
from itsdangerous import URLSafeSerializer
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.account_words.stick import Segment, segments_of
from webapp.queue import ask, ask_redis, redis_connection

log = structlog.get_logger()

KEY_PREFIX = "tallystick:balance"
KNOWN_SECONDS = 60
_UNSURE_MS = 1_000  # what has ended is not booked yet, so nobody knows what ends next
_MARK_SECONDS = 180  # longer than anything that was read before the mark is known
_MARKED_AT_ONCE = 1_000
# Jobs write to a thousand accounts at a time; as many commands would cost them more than some of their SQL.
_MARK_ALL = "for _, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1], 'EX', ARGV[2]) end"


@dataclass(frozen=True, kw_only=True)
class Live:
    """What the live fragment shows: the balance, its first grants as a stick, and the signed account."""

    balance: ledger.Balance
    grants: list[ledger.Grant]
    segments: list[Segment]
    total: int
    ticket: str


def show_balance(session: Session, *, account_id: int, grants: int = 12) -> Live:
    """The balance and its first `grants`, read from the ledger; Redis knows the version for a while.

    Two statements. Raises ledger.AccountNotFound.
    """
    mark = _mark(account_id)
    lasting = ledger.balance_until(session, account_id=account_id)
    balance = lasting.balance
    first = ledger.open_grants(session, account_id=account_id, limit=grants)
    if mark is not None:
        remember(redis_connection(), account_id, mark=mark, version=balance.version, lasts_ms=lasting.lasts_ms)
    segments, total = segments_of(first, balance=max(balance.balance, 0))
    ticket = signer().dumps(account_id)
    return Live(balance=balance, grants=first, segments=segments, total=total, ticket=ticket)


def publish(account_ids: Iterable[int]) -> None:
    """Every open tab of these accounts asks the ledger at its next tick. To be called after the commit.

    Redis being away delays that by KNOWN_SECONDS at the most.
    """
    ids = set(account_ids)
    try:
        if len(ids) == 1:  # as after nearly every write
            ask_redis("SET", _mark_key(*ids), secrets.token_hex(8), "EX", _MARK_SECONDS)
            return
        redis = redis_connection()
        for part in _parts(list(ids)):
            keys = [_mark_key(account_id) for account_id in part]
            redis.eval(_MARK_ALL, len(keys), *keys, secrets.token_hex(8), str(_MARK_SECONDS))
    except RedisError as error:
        log.warning("balance_not_published", error=str(error))
    finally:
        current_app.extensions["known_versions"].drop(ids)


def _parts(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), _MARKED_AT_ONCE):
        yield ids[start : start + _MARKED_AT_ONCE]


def keys_of(account_id: int) -> tuple[str, str]:
    """Where Redis keeps the version that it knows, and the mark of the newest publication."""
    return f"{KEY_PREFIX}:{account_id}", _mark_key(account_id)


def account_of_key(key: bytes) -> int:
    """The account that one of `keys_of` is about."""
    return int(key.rpartition(b":")[2])


def as_known(*, mark: str, version: str) -> str:
    """What Redis keeps of a version: it holds only under the mark that stood before it was read."""
    return f"{mark}|{version}"


def version_of(known: bytes, *, mark: str) -> str | None:
    """The version in what Redis keeps; None when a publication has voided it."""
    stood, _, version = known.decode().partition("|")
    return version if stood == mark else None


def remember(redis: Redis, account_id: int, *, mark: str, version: str, lasts_ms: int | None) -> None:
    """Redis knows the version, as of the mark that stood before it was read: a later publication voids it."""
    most = KNOWN_SECONDS * 1_000
    known_ms = most if lasts_ms is None else _UNSURE_MS if lasts_ms <= 0 else min(lasts_ms, most)
    try:
        ask(redis, "SET", keys_of(account_id)[0], as_known(mark=mark, version=version), "PX", known_ms)
    except RedisError as error:
        log.warning("balance_not_remembered", error=str(error))


def _mark(account_id: int) -> str | None:
    """The account's mark before anything is read; None when Redis is away."""
    try:
        return cast(bytes, ask_redis("GET", _mark_key(account_id)) or b"").decode()
    except RedisError:
        return None


def _mark_key(account_id: int) -> str:
    return f"{KEY_PREFIX}-mark:{account_id}"


def signer() -> URLSafeSerializer:
    """Signs account ids, so that a tab can ask about its own account and no other."""
    return URLSafeSerializer(cast(str, current_app.config["SECRET_KEY"]), salt="live balance")


def register(app: Flask) -> None:
    """Let the unit of work publish after its commit."""
    app.extensions["publish_balances"] = publish
