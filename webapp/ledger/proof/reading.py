"""Reading a range of accounts in the order of their histories, with no more than the application's role may read."""

from collections.abc import Iterator
from itertools import count
from typing import Any, TypeVar

from psycopg import Connection

from webapp.ledger.proof.facts import Account, Entry, Event, Finding, StoredGrant
from webapp.ledger.proof.replay import Replay

Row = TypeVar("Row", bound=tuple[Any, ...])
Range = tuple[int, int]  # of account ids, inclusive

ROWS_AT_ONCE = 5_000
SMALL = 2_000  # entries; a range of so few is read in one go

_ACCOUNTS = """
SELECT account_id, balance, held, debt, seq, holds, head, booked_at, due_at, waiting, spend_order = 'paid_first'
FROM ledger.accounts_v WHERE account_id BETWEEN %(low)s AND %(high)s
"""
_GRANTS = """
SELECT account_id, grant_id, source, amount, expires_at, priority, features, cost_minor, cost_currency, source_key,
       description, effective_at, fingerprint, revoked, remaining, held, repaid, expired, revoked_taken,
       revoked_as_debt, open, frozen, burn_rank
FROM ledger.grants_v WHERE account_id BETWEEN %(low)s AND %(high)s
"""
# The content that the hash covers is written out here once more: the proof does not call what it proves.
_CONTENT = """
account_id, seq, kind, amount, balance_after, debt_after, drawn_grants, drawn_amounts, about_seq, feature, quantity,
description, reference, metadata, pricing, idempotency_key, encode(fingerprint, 'hex'), actor,
extract(epoch FROM occurred_at), extract(epoch FROM booked_at)
"""
_ENTRIES = f"""
SELECT account_id, seq, kind, amount, balance_after, debt_after, drawn_grants, drawn_amounts, about_seq, feature,
       occurred_at, booked_at, hold_number, CASE WHEN kind IN ('grant', 'purchase') THEN fingerprint END, hash,
       convert_to(CASE WHEN hold_number IS NULL THEN jsonb_build_array({_CONTENT})
                  ELSE jsonb_build_array({_CONTENT}, hold_number) END::text, 'UTF8')
FROM ledger.entries_v WHERE account_id BETWEEN %(low)s AND %(high)s ORDER BY account_id, seq
"""
_EVENTS = """
SELECT account_id, placed_after, placed_version, 1, 'placed', number, drawn_grants, drawn_amounts, placed_at, amount,
       feature, state, captured, expires_at, closed_after
FROM ledger.holds_v WHERE account_id BETWEEN %(low)s AND %(high)s
UNION ALL
SELECT account_id, coalesce(closed_after, 0), coalesce(closed_version, 0), CASE state WHEN 'lapsed' THEN 0 ELSE 1 END,
       'closed', number, drawn_grants, drawn_amounts, closed_at, amount, feature, state, captured, expires_at,
       closed_after
FROM ledger.holds_v WHERE account_id BETWEEN %(low)s AND %(high)s AND state IN ('voided', 'lapsed')
UNION ALL
SELECT account_id, frozen_after, frozen_version, 1, 'frozen', number, ARRAY[grant_id], '{}', frozen_at, 0, NULL, NULL,
       0, NULL, NULL
FROM ledger.freezes_v WHERE account_id BETWEEN %(low)s AND %(high)s
UNION ALL
SELECT account_id, coalesce(unfrozen_after, 0), coalesce(unfrozen_version, 0), 1, 'unfrozen', number, ARRAY[grant_id],
       '{}', unfrozen_at, 0, NULL, NULL, 0, NULL, NULL
FROM ledger.freezes_v WHERE account_id BETWEEN %(low)s AND %(high)s AND unfrozen_at IS NOT NULL
ORDER BY 1, 2, 3, 4, 6
"""
_REFUNDED = """
SELECT account_id, array_agg(DISTINCT about_seq) FROM ledger.entries_v
WHERE account_id BETWEEN %(low)s AND %(high)s AND about_seq IS NOT NULL AND kind = 'refund' GROUP BY account_id
"""
# A key names one thing of an account: an entry, the placing of a hold, or its voiding.
_TWICE = """
SELECT account_id, max(seq), 'idempotency key ' || idempotency_key
FROM ledger.entries_v WHERE account_id BETWEEN %(low)s AND %(high)s AND idempotency_key IS NOT NULL
GROUP BY account_id, idempotency_key HAVING count(*) > 1
UNION ALL
SELECT account_id, max(grant_id), 'source key ' || source_key
FROM ledger.grants_v WHERE account_id BETWEEN %(low)s AND %(high)s AND source_key IS NOT NULL
GROUP BY account_id, source_key HAVING count(*) > 1
UNION ALL
SELECT h.account_id, e.seq, 'idempotency key ' || e.idempotency_key
FROM (SELECT account_id, idempotency_key FROM ledger.holds_v WHERE account_id BETWEEN %(low)s AND %(high)s
      UNION ALL SELECT account_id, closing_key FROM ledger.holds_v
                WHERE account_id BETWEEN %(low)s AND %(high)s AND closing_key IS NOT NULL) h
JOIN ledger.entries_v e ON e.account_id = h.account_id AND e.idempotency_key = h.idempotency_key
UNION ALL
SELECT account_id, NULL, 'idempotency key ' || key
FROM (SELECT account_id, idempotency_key AS key FROM ledger.holds_v
      WHERE account_id BETWEEN %(low)s AND %(high)s
      UNION ALL SELECT account_id, closing_key FROM ledger.holds_v
                WHERE account_id BETWEEN %(low)s AND %(high)s AND closing_key IS NOT NULL) h
GROUP BY account_id, key HAVING count(*) > 1
"""

_cursors = count(1)


class History:
    """What a range of accounts has been through; `connection` sees one snapshot from the first question to the last."""

    def __init__(self, connection: Connection[Any], within: Range) -> None:
        self._connection = connection
        self._bounds = {"low": within[0], "high": within[1]}
        self._is_small = True
        self.grants = 0
        self.entries = 0
        self.findings: list[Finding] = []

    def play(self) -> dict[int, Replay]:
        """Every account of the range at the end of its history, not finished yet. Memory grows with its grants."""
        accounts = list(self._rows(_ACCOUNTS, Account))
        self._is_small = sum(account.seq for account in accounts) <= SMALL
        about = {row[0]: frozenset(row[1]) for row in self._rows(_REFUNDED, tuple)}
        replays = {
            account.account_id: Replay(account, refunded=about.get(account.account_id, frozenset()))
            for account in accounts
        }
        for stored in self._rows(_GRANTS, StoredGrant):
            self.grants += 1
            if replay := replays.get(stored.account_id):
                replay.add(stored)
            else:
                self._find_orphan(stored.account_id, stored.grant_id)
        self._play_entries(replays)
        return replays

    def used_twice(self) -> list[Finding]:
        """Keys that name two things."""
        return [Finding(7, row[0], row[1], f"{row[2]} is used twice") for row in self._rows(_TWICE, tuple)]

    def _play_entries(self, replays: dict[int, Replay]) -> None:
        events = self._rows(_EVENTS, Event)
        event = next(events, None)
        account_id, replay = None, None
        for entry in self._rows(_ENTRIES, Entry):
            self.entries += 1
            if entry.account_id != account_id:
                account_id = entry.account_id
                replay = replays.get(account_id)
            while event is not None and (event.account_id, event.after) < (entry.account_id, entry.seq):
                self._happen(event, replays)
                event = next(events, None)
            if replay is not None:
                replay.play(entry)
            else:
                self._find_orphan(entry.account_id, entry.seq)
        while event is not None:
            self._happen(event, replays)
            event = next(events, None)

    def _happen(self, event: Event, replays: dict[int, Replay]) -> None:
        if replay := replays.get(event.account_id):
            replay.happen(event)
        else:
            self._find_orphan(event.account_id, None)

    def _find_orphan(self, account_id: int, seq: int | None) -> None:
        self.findings.append(Finding(4, account_id, seq, "belongs to an account that does not exist"))

    def _rows(self, query: str, made: type[Row]) -> Iterator[Row]:
        make = getattr(made, "_make", made)
        if self._is_small:
            with self._connection.cursor(binary=True) as cursor:
                rows = cursor.execute(query.encode(), self._bounds).fetchall()
            yield from map(make, rows)
            return
        name = f"proof_{next(_cursors)}"
        with self._connection.cursor(name, scrollable=False) as portal:
            portal.execute(query.encode(), self._bounds, binary=True)
            while rows := portal.fetchmany(ROWS_AT_ONCE):
                yield from map(make, rows)
