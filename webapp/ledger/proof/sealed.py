"""Checking seals: their HMACs, their chain, the heads under each, and that those entries are there as they were."""

import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from webapp.ledger.proof.facts import Finding
from webapp.ledger.seals import HeadsDigest, Seal, SealKeys, seal_of

ROWS_AT_ONCE = 5_000

_SEALS = "SELECT * FROM ledger.seals_v ORDER BY number"
_HEADS = """
SELECT h.number, h.account_id, h.seq, h.head, e.hash
FROM ledger.sealed_heads_v h LEFT JOIN ledger.entries_v e ON e.account_id = h.account_id AND e.seq = h.seq
WHERE %(account_id)s::bigint IS NULL OR h.account_id = %(account_id)s
ORDER BY h.number, h.account_id
"""


@dataclass
class SealReport:
    """`unknown_keys` are the ids of keys that seals were made with and nobody gave us: those were not checked."""

    seals: int = 0
    heads: int = 0
    unknown_keys: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)

    def find(self, detail: str, *, account_id: int | None = None, seq: int | None = None) -> None:
        self.findings.append(Finding(4, account_id, seq, detail))


def check_seals(
    connection: Connection[Any],
    *,
    keys: SealKeys,
    account_id: int | None = None,
    exported: Iterable[Seal] | None = None,
) -> SealReport:
    """Check every seal in the caller's snapshot; with `exported`, that the table still holds what was exported.

    With `account_id` the heads of that account alone are looked at, and so no digests.
    """
    report = SealReport()
    seals: dict[int, Seal] = {}
    with connection.cursor(row_factory=dict_row) as cursor:
        for row in cursor.execute(_SEALS):
            made = seal_of(row)
            seals[made.number] = made
    _check_chain(report, seals.values(), keys)
    digests = _check_heads(connection, report, account_id)
    if account_id is None:
        _check_digests(report, seals, digests)
    if exported is not None:
        _check_exported(report, seals, exported)
    return report


def _check_chain(report: SealReport, seals: Iterable[Seal], keys: SealKeys) -> None:
    number, previous = 0, b""
    for made in seals:
        report.seals += 1
        if made.number != number + 1:
            report.find(f"seal {number + 1} is missing before seal {made.number}")
        if made.previous != previous:
            report.find(f"seal {made.number} does not follow the seal before it")
        if made.key_id not in keys:
            report.unknown_keys.add(made.key_id)
        elif not hmac.compare_digest(keys.sign(made.key_id, made.message()), made.hmac):
            report.find(f"seal {made.number} was not made with the key that it names")
        number, previous = made.number, made.hmac


def _check_heads(connection: Connection[Any], report: SealReport, account_id: int | None) -> dict[int, HeadsDigest]:
    digests: dict[int, HeadsDigest] = {}
    for number, of, seq, head, found in _heads(connection, account_id):
        report.heads += 1
        digests.setdefault(number, HeadsDigest()).add(of, seq, head)
        if found is None:
            report.find(f"is gone, and seal {number} covers it", account_id=of, seq=seq)
        elif found != head:
            report.find(f"is another one than seal {number} covers", account_id=of, seq=seq)
    return digests


def _heads(connection: Connection[Any], account_id: int | None) -> Iterator[tuple[Any, ...]]:
    with connection.cursor("sealed_heads", scrollable=False) as portal:
        portal.execute(_HEADS, {"account_id": account_id}, binary=True)
        while rows := portal.fetchmany(ROWS_AT_ONCE):
            yield from rows


def _check_digests(report: SealReport, seals: dict[int, Seal], digests: dict[int, HeadsDigest]) -> None:
    for number, digest in digests.items():
        if number not in seals:
            report.find(f"seal {number} is gone, and {digest.heads} heads say that they are under it")
    for number, made in seals.items():
        seen = digests.get(number) or HeadsDigest()
        if (seen.heads, seen.digest()) != (made.accounts, made.digest):
            report.find(f"the heads under seal {number} are not the {made.accounts} that it covers")


def _check_exported(report: SealReport, seals: dict[int, Seal], exported: Iterable[Seal]) -> None:
    for line in exported:
        if line.number not in seals:
            report.find(f"seal {line.number} was exported and is gone")
        elif seals[line.number] != line:
            report.find(f"seal {line.number} is another one than was exported")
