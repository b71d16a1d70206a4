"""The lists of the files that were handed in, and of the lines of one."""

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from sqlalchemy import ColumnElement, select

from webapp.admin.bulk_tables import BulkLine, BulkRun
from webapp.admin.bulk_words import say_problem, say_refusal
from webapp.admin.listing import Column, Filter, Listing, Rows, Sort
from webapp.people.user import User

KIND_WORDS: Mapping[str, object] = {"grant": _l("Grant credits"), "take": _l("Take credits")}
STATE_WORDS: Mapping[str, object] = {
    "checked": lazy_pgettext("a file", "checked, not confirmed"),
    "running": lazy_pgettext("a file", "being done"),
    "done": lazy_pgettext("a file", "done"),
    "stopped": lazy_pgettext("a file", "stopped"),
}
OUTCOME_WORDS: Mapping[str, object] = {
    "bad": lazy_pgettext("a line", "left out"),
    "done": lazy_pgettext("a line", "done"),
    "refused": lazy_pgettext("a line", "refused"),
    "open": lazy_pgettext("a line", "not done yet"),
}


def _files(values: Mapping[str, str]) -> Rows:
    return select(
        BulkRun.id,
        BulkRun.kind,
        BulkRun.file_name,
        BulkRun.state,
        BulkRun.lines,
        BulkRun.good,
        BulkRun.credits,
        BulkRun.created_at,
        BulkRun.created_by_who,
    )


RUNS = Listing(
    key="bulk",
    title=_l("Many at once"),
    path="/admin/bulk",
    id=BulkRun.id,
    selection=_files,
    columns=(
        Column(key="file", label=_l("File"), show=lambda row: (f"/admin/bulk/{row.id}", row.file_name), kind="link"),
        Column(key="kind", label=_l("What it does"), show=lambda row: str(KIND_WORDS[row.kind])),
        Column(key="state", label=_l("State"), show=lambda row: str(STATE_WORDS[row.state])),
        Column(key="lines", label=_l("Lines"), show=lambda row: row.lines, kind="credits"),
        Column(key="left_out", label=_l("Left out"), show=lambda row: row.lines - row.good, kind="credits"),
        Column(key="credits", label=_l("Credits"), show=lambda row: row.credits, kind="credits"),
        Column(key="at", label=_l("When"), show=lambda row: row.created_at, kind="moment"),
        Column(key="who", label=_l("Who"), show=lambda row: row.created_by_who),
    ),
    sorts=(Sort(key="newest", label=_l("Newest first"), by=BulkRun.id),),
    empty=_l("No file has been handed in yet"),
)

_STATES: Mapping[str, ColumnElement[bool]] = {
    "bad": ~BulkLine.good,
    "done": BulkLine.outcome == "done",
    "refused": BulkLine.outcome == "refused",
    "open": BulkLine.good & BulkLine.outcome.is_(None),
}


def lines_of(run: BulkRun) -> Listing:
    """The lines of that file, in its order."""
    run_id = run.id

    def selection(values: Mapping[str, str]) -> Rows:
        statement: Rows = (
            select(
                BulkLine.line,
                BulkLine.given,
                BulkLine.account_id,
                BulkLine.credits,
                BulkLine.days,
                BulkLine.text,
                BulkLine.good,
                BulkLine.available,
                BulkLine.problems,
                BulkLine.outcome,
                BulkLine.seq,
                BulkLine.moved,
                BulkLine.refusal,
                User.email,
            )
            .outerjoin(User, User.account_id == BulkLine.account_id)
            .where(BulkLine.run_id == run_id)
        )
        if values.get("state") in _STATES:
            statement = statement.where(_STATES[values["state"]])
        return statement

    return Listing(
        key=f"bulk-{run_id}",
        title=_l("Lines of %(name)s", name=run.file_name),
        path=f"/admin/bulk/{run_id}/lines",
        id=BulkLine.line,
        selection=selection,
        columns=(
            Column(key="line", label=_l("Line"), show=lambda row: row.line, kind="credits"),
            Column(key="account", label=_l("Account"), show=_account, kind="link"),
            Column(key="email", label=_l("Email"), show=lambda row: row.email),
            Column(key="credits", label=_l("Credits"), show=lambda row: row.credits, kind="credits"),
            Column(key="days", label=_l("Expire after days"), show=lambda row: row.days, kind="credits"),
            Column(key="text", label=_l("Text"), show=lambda row: row.text),
            Column(key="outcome", label=_l("Outcome"), show=lambda row: str(OUTCOME_WORDS[_outcome(row)])),
            Column(key="moved", label=_l("Moved"), show=lambda row: row.moved, kind="credits"),
            Column(key="entry", label=_l("Entry"), show=_entry, kind="link"),
            Column(key="why", label=_l("Why"), show=_why),
        ),
        sorts=(Sort(key="line", label=_l("By line"), by=BulkLine.line, ascending=True),),
        filters=(Filter(key="state", label=_l("Outcome"), options=lambda: list(OUTCOME_WORDS.items())),),
    )


def _account(row: Any) -> tuple[str, str] | str:
    return row.given if row.account_id is None else (f"/admin/accounts/{row.account_id}", row.given)


def _entry(row: Any) -> tuple[str, str] | None:
    return None if row.seq is None else (f"/admin/accounts/{row.account_id}/entries/{row.seq}", str(row.seq))


def _outcome(row: Any) -> str:
    if not row.good:
        return "bad"
    return row.outcome or "open"


def _why(row: Any) -> str:
    if row.refusal is not None:
        return say_refusal(row.refusal)
    said = [say_problem(column, code, given) for column, code, given in row.problems]
    if row.good and row.available is not None:
        said.append(say_problem("credits", "short", {"available": row.available}))
    return " ".join(said)
