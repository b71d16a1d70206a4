"""How many requests a minute a key may make, and how many may be made about an account."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog
from flask import current_app
from flask_babel import gettext as _
from redis.exceptions import RedisError

from webapp.api.keys import KnownKey
from webapp.api.problems import Problem
from webapp.queue import redis_connection

log = structlog.get_logger()

WINDOW_SECONDS = 60
PAUSE_SECONDS = 10
_LEASES = 1000
_MOST_WINDOWS = 100_000


@dataclass(frozen=True, kw_only=True)
class _Limited:
    """Who is limited, by the name of its counter, and to what."""

    name: str
    per_minute: int


@dataclass
class _Window:
    number: int = -1
    counted: int = 0  # by all processes, when this one last asked
    leased: int = 0  # of them, ours and not used yet


@dataclass(frozen=True, kw_only=True)
class _Taken:
    """What a request was given of what it asked for, and what is left after it."""

    given: int
    left: int


@dataclass
class RateLimit:
    """Counts in Redis for all processes together, by the minute. Without Redis nothing is limited.

    Asking Redis for each request would cost more than a spend's own work, so a process takes a thousandth of the
    limit at a time: exact for small limits, and off by that much a process for large ones. Without `per_account`
    accounts are not limited.
    """

    per_account: int = 0
    _windows: dict[str, _Window] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _paused_until: float = 0.0

    def take(self, *, key: KnownKey, count: int = 1, moment: float | None = None) -> dict[str, str]:
        """`count` requests of `key` are counted; returns the RateLimit headers.

        Raises 429 when fewer are left; none is counted then.
        """
        moment = time.time() if moment is None else moment
        why = _key_has_none_left if count == 1 else _key_has_not_so_many_left
        return self._take_all(_Limited(name=str(key.id), per_minute=key.rate_per_minute), count, moment, why)

    def take_of_account(self, account: str, *, moment: float | None = None) -> dict[str, str]:
        """One request about the account of that external id is counted; returns the RateLimit headers.

        Raises 429 when there is none left.
        """
        if not self.per_account:
            return {}
        moment = time.time() if moment is None else moment
        return self._take_all(self._of_account(account), 1, moment, _account_has_none_left)

    def take_of_accounts(self, counts: Mapping[str, int], *, moment: float | None = None) -> dict[str, int]:
        """So many requests about each account are counted, or what is left of them: how many that are, by account."""
        if not self.per_account:
            return dict(counts)
        moment = time.time() if moment is None else moment
        wanted = {self._of_account(account): count for account, count in counts.items()}
        taken = self._take(wanted, moment, all_or_none=False)
        if taken is None:
            return dict(counts)
        return {account: taken[self._of_account(account)].given for account in counts}

    def account_refused(self, *, moment: float | None = None) -> Problem:
        """429 for an item about an account that has no request left."""
        headers = {"Retry-After": str(_reset(time.time() if moment is None else moment))}
        return Problem(429, "rate_limited", _account_has_none_left(), headers=headers)

    def _of_account(self, account: str) -> _Limited:
        return _Limited(name=f"account:{account}", per_minute=self.per_account)

    def _take_all(self, limited: _Limited, count: int, moment: float, why: Callable[[], str]) -> dict[str, str]:
        taken = self._take({limited: count}, moment, all_or_none=True)
        if taken is None:
            return {}
        headers = {
            "RateLimit-Limit": str(limited.per_minute),
            "RateLimit-Remaining": str(taken[limited].left),
            "RateLimit-Reset": str(_reset(moment)),
        }
        if taken[limited].given < count:
            raise Problem(429, "rate_limited", why(), headers={**headers, "Retry-After": str(_reset(moment))})
        return headers

    def _take(
        self, wanted: Mapping[_Limited, int], moment: float, *, all_or_none: bool
    ) -> dict[_Limited, _Taken] | None:
        """What each is given; None when nobody knows."""
        number = int(moment) // WINDOW_SECONDS
        with self._lock:
            windows = {one: self._window(one.name, number) for one in wanted}
            leases: dict[_Limited, int] = {}
            for one, count in wanted.items():
                missing = count - windows[one].leased
                hopeless = windows[one].counted >= one.per_minute or (all_or_none and count > one.per_minute)
                if missing > 0 and not hopeless:
                    leases[one] = max(missing, one.per_minute // _LEASES)
            counted = self._count({_counter(one, number): lease for one, lease in leases.items()})
            if counted is None:
                return None
            given_back: dict[str, int] = {}
            for one, lease in leases.items():
                window = windows[one]
                window.counted = counted[_counter(one, number)]
                leased = lease - max(0, min(lease, window.counted - one.per_minute))
                if all_or_none and window.leased + leased < wanted[one] > 1:
                    given_back[_counter(one, number)] = -lease  # what is left is for who asks for less
                    window.counted -= lease
                else:
                    window.leased += leased
            if given_back:
                self._count(given_back)
            return {one: self._taken(windows[one], one, count, all_or_none) for one, count in wanted.items()}

    def _taken(self, window: _Window, limited: _Limited, count: int, all_or_none: bool) -> _Taken:
        given = 0 if all_or_none and window.leased < count else min(count, window.leased)
        window.leased -= given
        return _Taken(given=given, left=max(0, limited.per_minute - window.counted) + window.leased)

    def _window(self, name: str, number: int) -> _Window:
        if len(self._windows) >= _MOST_WINDOWS and name not in self._windows:
            self._windows = {name: window for name, window in self._windows.items() if window.number == number}
        window = self._windows.setdefault(name, _Window())
        if window.number != number:
            window.number, window.counted, window.leased = number, 0, 0
        return window

    def _count(self, leases: Mapping[str, int]) -> dict[str, int] | None:
        """The counters after these were added; None when Redis does not answer."""
        if not leases:
            return {}
        if time.monotonic() < self._paused_until:
            return None
        try:
            with redis_connection().pipeline(transaction=False) as pipeline:
                for name, lease in leases.items():
                    pipeline.incrby(name, lease)
                    pipeline.expire(name, 2 * WINDOW_SECONDS)
                return dict(zip(leases, map(int, pipeline.execute()[::2]), strict=True))
        except RedisError as error:
            self._paused_until = time.monotonic() + PAUSE_SECONDS
            log.warning("api_rate_limit_off", error=str(error), seconds=PAUSE_SECONDS)
            return None


def rate_limit() -> RateLimit:
    """The limits of the current application."""
    found: RateLimit = current_app.extensions["api_rate_limit"]
    return found


def tighter(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    """Those of the two limits' headers that leave less."""
    left = [int(headers.get("RateLimit-Remaining", 2**63)) for headers in (one, other)]
    return dict(other if left[1] < left[0] else one)


def _counter(limited: _Limited, number: int) -> str:
    return f"tallystick:api-rate:{limited.name}:{number}"


def _reset(moment: float) -> int:
    return WINDOW_SECONDS - int(moment) % WINDOW_SECONDS


def _key_has_none_left() -> str:
    return str(_("This API key has used up its requests for this minute."))


def _key_has_not_so_many_left() -> str:
    return str(_("A batch counts as a request an item, and this API key has not so many left for this minute."))


def _account_has_none_left() -> str:
    return str(_("The requests about this account are used up for this minute."))
