"""The balance that every open tab shows, right within a second and cheap while nothing happens.

Each tab asks once a second with the version that it shows. While that version is the current one the answer is 204
and costs one read of Redis and no SQL: not even the person is looked up, because the URL carries the account's id
signed. What Redis knows lives for seconds only, so facts that nobody publishes (credits that expire) and
publications that were lost heal by themselves. Without Redis the answer comes from SQL.
"""

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import structlog
from flask import Flask, current_app
from itsdangerous import BadSignature, URLSafeSerializer
from redis.exceptions import RedisError
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.credits.stick import Segment, segments_of
from webapp.queue import redis_connection

log = structlog.get_logger()

KNOWN_SECONDS = 5
_MARK_SECONDS = 60
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
    """The balance and its first `grants`, read from the ledger; Redis knows the version for some seconds.

    Two statements. Raises ledger.AccountNotFound.
    """
    mark = _mark(account_id)
    balance = ledger.balance(session, account_id=account_id)
    first = ledger.open_grants(session, account_id=account_id, limit=grants)
    _remember(account_id, mark=mark, version=balance.version)
    segments, total = segments_of(first, balance=max(balance.balance, 0))
    ticket = _signer().dumps(account_id)
    return Live(balance=balance, grants=first, segments=segments, total=total, ticket=ticket)


def unchanged(*, ticket: str | None, version: str | None) -> bool:
    """Whether `version` is what Redis knows to be the current one of the ticket's account. No SQL."""
    if not ticket or not version:
        return False
    try:
        account_id = _signer().loads(ticket)
        known, mark = cast(list[Any], redis_connection().mget(_key(account_id), _mark_key(account_id)))
    except (BadSignature, RedisError):
        return False
    return known is not None and known == f"{(mark or b'').decode()}|{version}".encode()


def publish(account_ids: Iterable[int]) -> None:
    """Every open tab of these accounts asks the ledger at its next tick. To be called after the commit.

    Redis being away delays that by KNOWN_SECONDS at the most.
    """
    ids = set(account_ids)
    try:
        redis = redis_connection()
        if len(ids) == 1:  # as after nearly every write; a pipeline of one command costs twice as much
            redis.set(_mark_key(ids.pop()), secrets.token_hex(8), ex=_MARK_SECONDS)
            return
        for part in _parts(list(ids)):
            keys = [_mark_key(account_id) for account_id in part]
            redis.eval(_MARK_ALL, len(keys), *keys, secrets.token_hex(8), str(_MARK_SECONDS))
    except RedisError as error:
        log.warning("balance_not_published", error=str(error))


def _parts(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), _MARKED_AT_ONCE):
        yield ids[start : start + _MARKED_AT_ONCE]


def _remember(account_id: int, *, mark: str | None, version: str) -> None:
    """Redis knows the version, as of the mark that stood before it was read: a later publication voids it."""
    if mark is None:
        return
    try:
        redis_connection().set(_key(account_id), f"{mark}|{version}", ex=KNOWN_SECONDS)
    except RedisError as error:
        log.warning("balance_not_remembered", error=str(error))


def _mark(account_id: int) -> str | None:
    """The account's mark before anything is read; None when Redis is away."""
    try:
        return cast(bytes, redis_connection().get(_mark_key(account_id)) or b"").decode()
    except RedisError:
        return None


def _key(account_id: int) -> str:
    return f"tallystick:balance:{account_id}"


def _mark_key(account_id: int) -> str:
    return f"tallystick:balance-mark:{account_id}"


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(cast(str, current_app.config["SECRET_KEY"]), salt="live balance")


def register(app: Flask) -> None:
    """Let the unit of work publish after its commit."""
    app.extensions["publish_balances"] = publish
