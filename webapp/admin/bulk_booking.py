"""A confirmed file is booked, some lines at a time: each line once, whatever is killed or repeated."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from webapp import clock, ledger, outbox
from webapp.admin.bulk_tables import BulkLine, BulkRun
from webapp.ledger import GrantItem, InsufficientCredits, LedgerRefusal, SpendItem
from webapp.ledger.writes import Written
from webapp.outbox import OutboxRow

JOB = "bulk_apply"
CHUNK = 1_000

_NOTE = text(
    "UPDATE bulk_lines l SET outcome = r.outcome, seq = r.seq, moved = r.moved, refusal = r.refusal"
    " FROM jsonb_to_recordset(CAST(:rows AS jsonb))"
    " r (line integer, outcome text, seq bigint, moved bigint, refusal jsonb)"
    " WHERE l.run_id = :run_id AND l.line = r.line"
)


class NotOpen(Exception):
    """The run is not waiting to be confirmed any more, or is gone. Nothing was written."""


def confirm(session: Session, *, run_id: int, actor: str, reason: str) -> BulkRun:
    """The run begins: its first chunk is in the outbox. Locks the run. Raises NotOpen."""
    run = _locked(session, run_id)
    if run is None or run.state != "checked":
        raise NotOpen
    run.state, run.confirmed_at, run.actor, run.reason = "running", clock.now(), actor, reason
    session.flush()
    _hand_on(session, run)
    return run


def stop(session: Session, *, run_id: int) -> BulkRun | None:
    """No further line is booked; those that were stay. Returns the run, or None when it does not run. Locks it."""
    run = _locked(session, run_id)
    if run is None or run.state != "running":
        return None
    run.state, run.ended_at = "stopped", clock.now()
    session.flush()
    return run


def apply_chunk(session: Session, *, run_id: int, after: int) -> int:
    """The next lines of the run are booked, and the chunk after them is in the outbox; returns how many lines.

    Locks the run, then the accounts by id. A line that the ledger refuses is noted and harms no other. Nothing
    happens to a run that was stopped, or to a chunk that is done.
    """
    run = _locked(session, run_id)
    if run is None or run.state != "running" or run.last_line != after:
        return 0
    lines = session.scalars(
        select(BulkLine)
        .where(BulkLine.run_id == run_id, BulkLine.line > after, BulkLine.good)
        .order_by(BulkLine.line)
        .limit(CHUNK)
    ).all()
    outcomes = [_noted(line, outcome) for line, outcome in zip(lines, _book(session, run, lines), strict=True)]
    session.execute(_NOTE, {"run_id": run_id, "rows": json.dumps(outcomes)})
    done = [one for one in outcomes if one["outcome"] == "done"]
    run.done_lines += len(done)
    run.refused_lines += len(outcomes) - len(done)
    run.moved += sum(one["moved"] for one in done)
    run.last_line = lines[-1].line if lines else after
    session.flush()
    if len(lines) == CHUNK:
        _hand_on(session, run)
    else:
        run.state, run.ended_at = "done", clock.now()
    session.flush()
    return len(lines)


def stuck_row(session: Session, *, run: BulkRun) -> OutboxRow | None:
    """The chunk that was set aside for a person, if the run is at a standstill."""
    return session.scalars(
        select(OutboxRow).where(
            OutboxRow.key == _key(run), OutboxRow.parked_at.is_not(None), OutboxRow.done_at.is_(None)
        )
    ).one_or_none()


def drop(session: Session, *, run_id: int) -> BulkRun | None:
    """A run that was never confirmed is gone, with its lines; returns what it was, or None."""
    run = _locked(session, run_id)
    if run is None or run.state != "checked":
        return None
    session.delete(run)
    session.flush()
    return run


def _locked(session: Session, run_id: int) -> BulkRun | None:
    return session.get(BulkRun, run_id, with_for_update=True, populate_existing=True)


def _key(run: BulkRun) -> str:
    return f"bulk:{run.id}:{run.last_line}"


def _hand_on(session: Session, run: BulkRun) -> None:
    outbox.put(session, job=JOB, key=_key(run), args={"run_id": run.id, "after": run.last_line})


def _book(session: Session, run: BulkRun, lines: Sequence[BulkLine]) -> list[Written | LedgerRefusal]:
    if run.kind == "take":
        return ledger.spend_many(session, items=[_spend_of(run, line) for line in lines])
    return ledger.grant_many(session, items=[_grant_of(run, line) for line in lines])


def _grant_of(run: BulkRun, line: BulkLine) -> GrantItem:
    assert run.confirmed_at is not None
    return GrantItem(
        **_shared(run, line),
        source="admin",
        source_key=f"bulk:{run.id}:{line.line}",
        expires_at=run.confirmed_at + timedelta(days=line.days) if line.days else None,
    )


def _spend_of(run: BulkRun, line: BulkLine) -> SpendItem:
    return SpendItem(**_shared(run, line), partial=run.partial)


def _shared(run: BulkRun, line: BulkLine) -> dict[str, Any]:
    return {
        "account_id": line.account_id,
        "amount": line.credits,
        "actor": run.actor,
        "idempotency_key": f"bulk:{run.id}:{line.line}",
        "description": line.text,
        "metadata": {"reason": run.reason, "bulk": run.id, "line": line.line},
    }


def _noted(line: BulkLine, outcome: Written | LedgerRefusal) -> dict[str, Any]:
    if isinstance(outcome, Written):
        entry = outcome.entry
        return {"line": line.line, "outcome": "done", "seq": entry.seq, "moved": abs(entry.amount)}
    told: dict[str, Any] = {"code": outcome.code, "detail": str(outcome)[:500]}
    if isinstance(outcome, InsufficientCredits):
        told["available"] = outcome.available
    return {"line": line.line, "outcome": "refused", "refusal": told}
