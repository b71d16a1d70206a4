"""A file is checked and kept: its lines with the accounts that they mean, and all that is wrong with each."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from sqlalchemy import RowMapping, text
from sqlalchemy.orm import Session

from webapp import clock
from webapp.admin.audit import Doer
from webapp.admin.bulk_reading import BulkFile, ReadLine
from webapp.admin.bulk_tables import BulkRun

CHUNK = 5_000

_KEEP = text(
    """
    INSERT INTO bulk_lines (run_id, line, given, account_id, credits, days, text, problems)
    SELECT :run_id, r.line, CASE WHEN x.account_id IS NULL AND u.account_id IS NOT NULL THEN u.external_id
           ELSE r.given END, f.account_id, r.credits, r.days, r.text, r.problems || CASE
        WHEN x.account_id <> u.account_id THEN '[["account", "ambiguous", {}]]'::jsonb
        WHEN n.account_id <> coalesce(x.account_id, u.account_id) THEN '[["account", "ambiguous", {}]]'::jsonb
        WHEN f.account_id IS NULL AND NOT r.problems @> '[["account"]]' AND NOT r.problems @> '[["", "no_utf8"]]'
        THEN '[["account", "unknown", {}]]'::jsonb ELSE '[]'::jsonb END
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) r (line integer, given text, external_id text, email_key text,
        number bigint, credits bigint, days integer, text text, problems jsonb)
    LEFT JOIN LATERAL (SELECT account_id FROM ledger.accounts_v WHERE external_id = r.external_id) x ON true
    LEFT JOIN users u ON u.email_key = r.email_key
    LEFT JOIN LATERAL (SELECT account_id FROM ledger.accounts_v WHERE account_id = r.number) n ON true
    CROSS JOIN LATERAL (SELECT coalesce(x.account_id, u.account_id, n.account_id) AS account_id) f
    """
)
_TWINS = text(
    """
    SELECT d.line, jsonb_build_array(jsonb_build_array('account', 'twin', jsonb_build_object('line', d.first)))
        AS problems, NULL::bigint AS available
    FROM (SELECT line, first_value(line) OVER (PARTITION BY account_id ORDER BY line) AS first FROM bulk_lines
          WHERE run_id = :run_id AND good) d
    WHERE d.first < d.line
    """
)
# What earlier lines of the same account take is not there for later ones.
_SHORT = text(
    """
    SELECT w.line, greatest(0, a.spendable - w.before) AS available,
        CASE WHEN :partial AND a.spendable > w.before THEN '[]'::jsonb
            ELSE jsonb_build_array(jsonb_build_array('credits', 'short',
                 jsonb_build_object('available', greatest(0, a.spendable - w.before)))) END AS problems
    FROM (SELECT line, account_id, credits,
              (sum(credits) OVER (PARTITION BY account_id ORDER BY line) - credits)::bigint AS before
          FROM bulk_lines WHERE run_id = :run_id AND good) w
    CROSS JOIN LATERAL (SELECT ledger.spendable(w.account_id, NULL) AS spendable) a
    WHERE w.line > :after AND w.line <= :until AND a.spendable - w.before < w.credits
    """
)
# Joined with what is handed over and not with a query: of lines that were just written the planner knows nothing.
_NOTE = text(
    "UPDATE bulk_lines l SET problems = l.problems || r.problems, available = r.available"
    " FROM jsonb_to_recordset(CAST(:rows AS jsonb)) r (line integer, problems jsonb, available bigint)"
    " WHERE l.run_id = :run_id AND l.line = r.line"
)
_SUMS = text(
    "SELECT count(*) AS lines, count(*) FILTER (WHERE good) AS good,"
    " count(DISTINCT account_id) FILTER (WHERE good) AS accounts,"
    " coalesce(sum(credits) FILTER (WHERE good), 0)::bigint AS credits, max(line) AS last"
    " FROM bulk_lines WHERE run_id = :run_id"
)


def check(
    session: Session, *, file: BulkFile, kind: str, partial: bool, twins: bool, file_name: str, by: Doer
) -> BulkRun:
    """The file's lines are kept with what is wrong with each; no credits move. Returns the run.

    With `twins` an account may stand in several lines. Raises BadFile; nothing is left of it then.
    """
    assert by.user_id is not None
    run = BulkRun(
        kind=kind,
        partial=partial,
        file_name=file_name,
        ignored=file.ignored,
        created_at=clock.now(),
        created_by=by.user_id,
        created_by_who=by.who,
        state="checked",
    )
    session.add(run)
    session.flush()
    for rows in _chunks(file.lines):
        session.execute(_KEEP, {"run_id": run.id, "rows": rows})
    if not twins:
        _note(session, run, session.execute(_TWINS, {"run_id": run.id}).mappings().all())
    if kind == "take":
        _note_short(session, run)
    sums = session.execute(_SUMS, {"run_id": run.id}).one()
    run.lines, run.good, run.accounts, run.credits = sums.lines, sums.good, sums.accounts, sums.credits
    session.flush()
    return run


def _chunks(lines: Iterable[ReadLine]) -> Iterator[str]:
    source = iter(lines)
    while chunk := list(islice(source, CHUNK)):
        yield json.dumps([vars(one) for one in chunk])


def _note_short(session: Session, run: BulkRun) -> None:
    """In parts, each well below the longest that a statement may take."""
    last = session.execute(_SUMS, {"run_id": run.id}).one().last
    for after in range(0, last, CHUNK):
        given = {"run_id": run.id, "partial": run.partial, "after": after, "until": after + CHUNK}
        _note(session, run, session.execute(_SHORT, given).mappings().all())


def _note(session: Session, run: BulkRun, found: Sequence[RowMapping]) -> None:
    for start in range(0, len(found), CHUNK):
        rows = json.dumps([dict(one) for one in found[start : start + CHUNK]])
        session.execute(_NOTE, {"run_id": run.id, "rows": rows})
