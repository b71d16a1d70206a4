"""The proof: everything that the ledger says of itself, worked out anew and compared."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, text

from webapp.ledger.facts import AccountFacts, EntryFacts, Finding, GrantFacts
from webapp.ledger.fingerprints import fingerprint_of_grant
from webapp.ledger.replay import Replay

CHUNK = 200  # accounts a database transaction
ROWS_AT_ONCE = 2_000
FIRST_ID, LAST_ID = 0, 2**63 - 1
APP_ROLE = "tallystick_app"

_CHUNK_END = text(
    "SELECT max(account_id) AS high FROM (SELECT account_id FROM ledger.accounts_v"
    " WHERE account_id BETWEEN :low AND :high ORDER BY account_id LIMIT :chunk) chunk"
)
_ACCOUNTS = text(
    "SELECT account_id, balance, held, debt, seq, head, due_at, spend_order = 'paid_first' AS paid_first"
    " FROM ledger.accounts_v WHERE account_id BETWEEN :low AND :high"
)
_GRANTS = text(
    "SELECT account_id, grant_id, source, source_key, amount, remaining, held, priority, effective_at, expires_at,"
    " features, cost_minor, cost_currency, description, fingerprint, frozen, expired, repaid, revoked, revoked_taken,"
    " revoked_as_debt"
    " FROM ledger.grants_v WHERE account_id BETWEEN :low AND :high"
)
_TERMS = (
    "source",
    "amount",
    "expires_at",
    "priority",
    "features",
    "cost_minor",
    "cost_currency",
    "source_key",
    "description",
)
# The content that the hash covers is written out here once more: the proof does not call what it proves.
_ENTRIES = text(
    "SELECT account_id, seq, kind, amount, balance_after, debt_after, drawn_grants, drawn_amounts, about_seq,"
    " feature, occurred_at, booked_at, CASE WHEN kind IN ('grant', 'purchase') THEN fingerprint END AS terms, hash,"
    " hash = sha256("
    "  lag(hash, 1, decode(repeat('00', 32), 'hex')) OVER (PARTITION BY account_id ORDER BY seq)"
    "  || convert_to(jsonb_build_array(account_id, seq, kind, amount, balance_after, debt_after, drawn_grants,"
    "   drawn_amounts, about_seq, feature, quantity, description, reference, metadata, pricing,"
    "   idempotency_key, encode(fingerprint, 'hex'), actor, extract(epoch FROM occurred_at),"
    "   extract(epoch FROM booked_at))::text, 'UTF8')) AS hash_holds"
    " FROM ledger.entries_v WHERE account_id BETWEEN :low AND :high ORDER BY account_id, seq"
)
_DUPLICATES = text(
    "SELECT account_id, max(seq) AS seq, 'idempotency key ' || idempotency_key AS name"
    " FROM ledger.entries_v WHERE account_id BETWEEN :low AND :high AND idempotency_key IS NOT NULL"
    " GROUP BY account_id, idempotency_key HAVING count(*) > 1"
    " UNION ALL SELECT account_id, max(grant_id), 'source key ' || source_key"
    " FROM ledger.grants_v WHERE account_id BETWEEN :low AND :high AND source_key IS NOT NULL"
    " GROUP BY account_id, source_key HAVING count(*) > 1"
)
_RIGHTS = text(
    "SELECT 'may write ' || c.relname AS detail FROM pg_class c"
    " WHERE c.relnamespace = 'ledger'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')"
    " AND (has_table_privilege(:role, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')"
    "  OR has_any_column_privilege(:role, c.oid, 'INSERT, UPDATE'))"
    " UNION ALL SELECT 'owns ' || c.relname FROM pg_class c"
    " WHERE c.relnamespace = 'ledger'::regnamespace AND pg_has_role(:role, c.relowner, 'MEMBER')"
    " UNION ALL SELECT 'owns function ' || p.proname FROM pg_proc p"
    " WHERE p.pronamespace = 'ledger'::regnamespace AND pg_has_role(:role, p.proowner, 'MEMBER')"
    " UNION ALL SELECT 'may create things in the schema' WHERE has_schema_privilege(:role, 'ledger', 'CREATE')"
    " UNION ALL SELECT 'is a superuser' FROM pg_roles WHERE rolname = :role AND rolsuper"
)
# Bits of tgtype: before 2, DELETE 8, UPDATE 16, TRUNCATE 32.
_UNGUARDED = text(
    "SELECT guarded.name FROM (VALUES ('entries', 'refuse_rewrite', 58), ('grants', 'refuse_removal', 42),"
    "  ('accounts', 'refuse_removal', 42), ('account_ids', 'refuse_removal', 42)) AS guarded (name, guard, events)"
    " WHERE NOT EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = to_regclass('ledger.' || guarded.name)"
    "  AND tgfoid = to_regproc('ledger.' || guarded.guard) AND tgenabled IN ('O', 'A')"
    "  AND tgtype & events = events AND tgqual IS NULL AND tgattr = '')"
)


@dataclass
class Report:
    """What was looked at, and every lie that was found."""

    accounts: int = 0
    grants: int = 0
    entries: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.findings


def verify(connection: Connection, *, account_ids: Sequence[int] | None = None) -> Report:
    """Recompute every invariant of the accounts given, or of all, and report each that does not hold.

    Reads only, and nothing but what the application's role may read. Works through the accounts in chunks,
    each in a REPEATABLE READ snapshot of its own, so that it may run beside any traffic; `connection` must not
    be in a database transaction. Memory grows with the grants of one chunk and not with its entries.
    """
    report = Report()
    connection = connection.execution_options(isolation_level="REPEATABLE READ")
    if account_ids is None:
        _verify_all(connection, report)
    for account_id in account_ids or ():
        with connection.begin():
            _verify_range(connection, account_id, account_id, report)
    with connection.begin():
        _verify_rights(connection, report)
    return report


def _verify_all(connection: Connection, report: Report) -> None:
    """In ranges without gaps, so that entries of an account that does not exist are met too."""
    low = FIRST_ID
    while low < LAST_ID:
        with connection.begin():
            end = connection.execute(_CHUNK_END, {"low": low, "high": LAST_ID, "chunk": CHUNK}).scalar_one()
            high = LAST_ID if end is None else end
            _verify_range(connection, low, high, report)
        low = high + 1


def _verify_range(connection: Connection, low: int, high: int, report: Report) -> None:
    bounds = {"low": low, "high": high}
    replays = {row.account_id: Replay(_account(row)) for row in connection.execute(_ACCOUNTS, bounds)}
    report.accounts += len(replays)
    for row in _stream(connection, _GRANTS, bounds):
        report.grants += 1
        if row.account_id in replays:
            replays[row.account_id].grants[row.grant_id] = _grant(row)
        else:
            _find_orphan(report, row.account_id, row.grant_id)
    for row in _stream(connection, _ENTRIES, bounds):
        report.entries += 1
        if row.account_id in replays:
            replays[row.account_id].play(_entry(row))
        else:
            _find_orphan(report, row.account_id, row.seq)
    for replay in replays.values():
        report.findings += replay.finish()
    for row in connection.execute(_DUPLICATES, bounds):
        report.findings.append(Finding(7, row.account_id, row.seq, f"{row.name} is used twice"))


def _verify_rights(connection: Connection, report: Report) -> None:
    for detail in connection.execute(_RIGHTS, {"role": APP_ROLE}).scalars():
        report.findings.append(Finding(12, None, None, f"the application's role {detail}"))
    for name in connection.execute(_UNGUARDED).scalars():
        report.findings.append(Finding(12, None, None, f"no trigger guards {name} against being rewritten or removed"))


def _find_orphan(report: Report, account_id: int, seq: int) -> None:
    report.findings.append(Finding(4, account_id, seq, "belongs to an account that does not exist"))


def _stream(connection: Connection, query: Any, bounds: dict[str, int]) -> Iterable[Row[Any]]:
    return connection.execute(query, bounds, execution_options={"yield_per": ROWS_AT_ONCE})


def _account(row: Row[Any]) -> AccountFacts:
    return AccountFacts(
        account_id=row.account_id,
        balance=row.balance,
        held=row.held,
        debt=row.debt,
        seq=row.seq,
        head=row.head,
        due_at=row.due_at,
        paid_first=row.paid_first,
    )


def _grant(row: Row[Any]) -> GrantFacts:
    terms = {name: getattr(row, name) for name in _TERMS}
    return GrantFacts(
        grant_id=row.grant_id,
        amount=row.amount,
        stored_remaining=row.remaining,
        stored_held=row.held,
        priority=row.priority,
        effective_at=row.effective_at,
        expires_at=row.expires_at,
        features=None if row.features is None else frozenset(row.features),
        is_paid=row.cost_minor > 0,
        frozen=row.frozen,
        terms=fingerprint_of_grant(**terms, effective_at=row.effective_at),
        terms_from_the_start=fingerprint_of_grant(**terms),
        stored_terms=row.fingerprint,
        stored_expired=row.expired,
        stored_revoked=row.revoked,
        stored_revoked_taken=row.revoked_taken,
        stored_revoked_as_debt=row.revoked_as_debt,
        stored_repaid=row.repaid,
    )


def _entry(row: Row[Any]) -> EntryFacts:
    return EntryFacts(
        seq=row.seq,
        kind=row.kind,
        amount=row.amount,
        balance_after=row.balance_after,
        debt_after=row.debt_after,
        draws=tuple(zip(row.drawn_grants, row.drawn_amounts, strict=True)),
        about_seq=row.about_seq,
        feature=row.feature,
        occurred_at=row.occurred_at,
        booked_at=row.booked_at,
        terms=row.terms,
        hash=row.hash,
        hash_holds=row.hash_holds,
    )
