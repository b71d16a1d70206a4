"""The sheet against the ledger: what is there already, what is in the way, and writing what is not there."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp.ledger.batches import grant_many
from webapp.ledger.call import call, call_all
from webapp.ledger.errors import LedgerRefusal
from webapp.ledger.opening.line import Line
from webapp.ledger.opening.sheet import Chunk, Sheet
from webapp.ledger.requests import GrantItem

# Who wrote the entries, by which a later run knows them.
ACTOR = "import"

_ACCOUNTS = text(
    "SELECT a.external_id, a.account_id, a.seq, e.actor AS first_actor FROM ledger.accounts_v a"
    " LEFT JOIN ledger.entries_v e ON e.account_id = a.account_id AND e.seq = 1"
    " WHERE a.external_id = ANY (CAST(:names AS text[]))"
)
_GRANTS = text(
    "SELECT g.account_id, g.source_key, g.fingerprint"
    " FROM unnest(CAST(:ids AS bigint[]), CAST(:keys AS text[])) k (account_id, source_key)"
    " JOIN ledger.grants_v g ON g.account_id = k.account_id AND g.source_key = k.source_key"
)
_OPEN = text(
    "SELECT external_id, account_id, created FROM ledger.open_accounts(CAST(:names AS text[]), CAST(:kinds AS text[]),"
    " CAST(:titles AS text[]), CAST(:time_zones AS text[]), CAST(:limits AS bigint[]))"
)
_TRIAL_BALANCE = text("SELECT coalesce(sum(balance), 0)::bigint AS balance FROM ledger.trial_balance_v")


@dataclass(kw_only=True)
class Tally:
    """What an import did, or would do. `known` is what was there already; money is in minor units, by currency."""

    lines: int = 0
    accounts_opened: int = 0
    accounts_known: int = 0
    grants_made: int = 0
    grants_known: int = 0
    credits_made: int = 0
    credits_known: int = 0
    cost_minor: Counter[str] = field(default_factory=Counter)

    def count(self, line: Line, *, known: bool) -> None:
        self.lines += 1
        if known:
            self.grants_known += 1
            self.credits_known += line.amount
        else:
            self.grants_made += 1
            self.credits_made += line.amount
        if line.cost_currency is not None:
            self.cost_minor[line.cost_currency] += line.cost_minor or 0

    def add(self, other: "Tally") -> None:
        for name in (each.name for each in fields(self)):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True, kw_only=True)
class Known:
    """An account that the ledger has; `theirs` when something else than an import wrote its first entry."""

    account_id: int
    theirs: bool


def compare(session: Session, sheet: Sheet, chunk: Chunk, *, allow_history: bool) -> Tally:
    """What booking the chunk would do. Notes in `sheet` what stands in the way; writes nothing in the ledger."""
    accounts = _find_accounts(session, chunk.lines)
    ids = {name: account.account_id for name, account in accounts.items()}
    fingerprints = _find_grants(session, chunk.lines, ids)
    there = sum(name in accounts for name in chunk.accounts)
    tally = Tally(accounts_opened=len(chunk.accounts) - there, accounts_known=there)
    for line in chunk.lines:
        account = accounts.get(line.account)
        fingerprint = fingerprints.get((account.account_id, str(line.source_key))) if account else None
        if fingerprint is not None and fingerprint != line.fingerprint:
            sheet.note(line.number, "source_key", "names a grant of other content in the ledger; give it another key")
        elif fingerprint is None and account is not None and account.theirs and not allow_history:
            sheet.note(line.number, "account", "has a history that no import began; see --allow-history")
        tally.count(line, known=fingerprint is not None)
    return tally


def book(session: Session, chunk: Chunk, *, file: str) -> Tally:
    """The accounts of the chunk exist and have its grants, each once, however often this is called.

    An account that is opened takes what the file says about it; one that was there is left as it is. Locks the
    accounts that get grants. Returns what was done. Raises a LedgerRefusal, with `line` in its data, for what came in
    the way since `compare`; nothing of the chunk was written then.
    """
    ids, opened = _open_accounts(session, chunk.lines)
    tally = Tally(accounts_opened=len(opened), accounts_known=len(set(chunk.accounts) - opened))
    outcomes = grant_many(session, items=[_item(line, account_id=ids[line.account], file=file) for line in chunk.lines])
    for line, outcome in zip(chunk.lines, outcomes, strict=True):
        if isinstance(outcome, LedgerRefusal):
            outcome.data["line"] = line.number
            raise outcome
        tally.count(line, known=outcome.replayed)
    return tally


def _item(line: Line, *, account_id: int, file: str) -> GrantItem:
    return GrantItem(
        **line.terms,
        account_id=account_id,
        actor=ACTOR,
        occurred_at=line.granted_at,
        metadata={"file": file, "line": line.number},
    )


def trial_balance(session: Session) -> int:
    """The sum of all postings, which is zero."""
    return int(call(session, _TRIAL_BALANCE, {})["balance"])


def _open_accounts(session: Session, lines: Sequence[Line]) -> tuple[dict[str, int], set[str]]:
    """Our ids of the lines' accounts, and the names of those that are open since now."""
    named = list({line.account: line for line in lines}.values())
    rows = session.execute(
        _OPEN,
        {
            "names": [line.account for line in named],
            "kinds": [line.account_kind for line in named],
            "titles": [line.account_name for line in named],
            "time_zones": [line.time_zone for line in named],
            "limits": [line.overdraft_limit for line in named],
        },
    ).all()
    return {row.external_id: row.account_id for row in rows}, {row.external_id for row in rows if row.created}


def _find_accounts(session: Session, lines: Sequence[Line]) -> dict[str, Known]:
    rows = call_all(session, _ACCOUNTS, {"names": sorted({line.account for line in lines})})
    return {
        row["external_id"]: Known(account_id=row["account_id"], theirs=row["seq"] > 0 and row["first_actor"] != ACTOR)
        for row in rows
    }


def _find_grants(session: Session, lines: Sequence[Line], ids: Mapping[str, int]) -> dict[tuple[int, str], bytes]:
    """The fingerprints of those grants that exist, by account and source_key."""
    wanted = [line for line in lines if line.account in ids]
    given = {"ids": [ids[line.account] for line in wanted], "keys": [line.source_key for line in wanted]}
    rows = session.execute(_GRANTS, given)
    return {(row.account_id, row.source_key): bytes(row.fingerprint) for row in rows}
