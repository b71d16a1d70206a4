"""What a process knows of balances: no question for a quiet tab, and nothing believed that has changed."""

import time
from collections.abc import Callable, Iterator

import pytest
from redis import Redis

from tests.credits.member import Member
from tests.credits.test_balance import root
from webapp.credits.known_versions import KnownVersions
from webapp.credits.live import KEY_PREFIX, keys_of

ACCOUNT = 10**15


def within_seconds(happened: Callable[[], bool], seconds: float = 5) -> bool:
    """Whether it happens soon; Redis tells of changes a moment after them."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if happened():
            return True
        time.sleep(0.01)
    return False


@pytest.fixture
def known(redis: Redis) -> Iterator[KnownVersions]:
    """Knows that the version of ACCOUNT is "7"."""
    redis.set(keys_of(ACCOUNT)[0], "|7")
    versions = KnownVersions(redis)
    versions.expect(ACCOUNT)
    assert within_seconds(lambda: versions._heard > 0)
    versions.keep(ACCOUNT, versions.expect(ACCOUNT), version="7", lasts_ms=60_000)
    assert versions.get(ACCOUNT) == "7"
    yield versions
    versions.stop()
    redis.delete(*keys_of(ACCOUNT))


def test_a_mark_set_by_anybody_is_heard(known: KnownVersions, redis: Redis) -> None:
    redis.set(keys_of(ACCOUNT)[1], "new")
    assert within_seconds(lambda: known.get(ACCOUNT) is None)


def test_what_redis_forgets_is_forgotten(known: KnownVersions, redis: Redis) -> None:
    redis.delete(keys_of(ACCOUNT)[0])
    assert within_seconds(lambda: known.get(ACCOUNT) is None)


def test_a_flush_forgets_everything(known: KnownVersions, redis: Redis) -> None:
    redis.flushdb()
    assert within_seconds(lambda: known.get(ACCOUNT) is None)


def test_other_accounts_stay_known(known: KnownVersions, redis: Redis) -> None:
    known.keep(ACCOUNT + 1, known.expect(ACCOUNT + 1), version="3", lasts_ms=60_000)
    redis.set(keys_of(ACCOUNT + 1)[1], "new")
    assert within_seconds(lambda: known.get(ACCOUNT + 1) is None)
    assert known.get(ACCOUNT) == "7"
    redis.delete(keys_of(ACCOUNT + 1)[1])


def test_a_change_while_it_is_read_is_not_hidden(known: KnownVersions, redis: Redis) -> None:
    waiting = known.expect(ACCOUNT)
    redis.set(keys_of(ACCOUNT)[1], "newer")
    assert within_seconds(lambda: ACCOUNT not in known._known)
    known.keep(ACCOUNT, waiting, version="7", lasts_ms=60_000)
    assert known.get(ACCOUNT) is None


def test_nothing_is_known_longer_than_redis_knows_it(known: KnownVersions) -> None:
    known.keep(ACCOUNT, known.expect(ACCOUNT), version="7", lasts_ms=0)
    assert known.get(ACCOUNT) is None


def test_without_the_listener_nothing_is_believed_until_it_listens_again(known: KnownVersions, redis: Redis) -> None:
    for client in redis.client_list():
        if client.get("sub") == "1" and client.get("flags", "").count("P"):
            redis.client_kill_filter(_id=client["id"])
    assert within_seconds(lambda: known.get(ACCOUNT) is None)
    assert within_seconds(lambda: known._heard > 0)
    assert known.get(ACCOUNT) is None


def test_a_known_tick_asks_nobody(member: Member, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    from webapp.credits.tick import QuietTicks

    member.grant(10)
    shown = root(member.get("/credits").text)
    versions = member.app.extensions["known_versions"]

    def is_known() -> bool:
        assert member.get(shown["hx-get"]).status_code == 204
        return versions.get(member.account_id) is not None

    assert within_seconds(is_known)

    def refuse(*_: object) -> None:
        raise AssertionError("asked")

    with monkeypatch.context() as patch:
        patch.setattr(QuietTicks, "_read", refuse)
        assert member.get(shown["hx-get"]).status_code == 204
    member.spend(1)
    assert member.get(shown["hx-get"]).status_code == 200
    assert redis.exists(f"{KEY_PREFIX}:{member.account_id}")
