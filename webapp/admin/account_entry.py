"""/admin/accounts/<id>/entries/<seq>: why an entry is there: its arithmetic, its draws, who wrote it and for what."""

from dataclasses import dataclass
from uuid import UUID

from flask import abort, render_template
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.account_words.explanation import Slice, Why, explain
from webapp.account_words.naming import kind_label
from webapp.admin.account_take_back import can_be_taken_back
from webapp.admin.acts import ACTS
from webapp.admin.audit import AuditLine
from webapp.database import unit_of_work
from webapp.ledger import Account, Entry
from webapp.people.roles import require_role

FOLLOWED = 20
SLICES = 200


@dataclass(frozen=True, kw_only=True)
class EntryView:
    """`why` as the customer's page has it; `followed` are entries about this one, such as its refunds.

    `more_slices` grants, which gave or got `more_credits`, stand on no line of their own.
    `grant` is the one that the entry made, `line` what the audit log says of it. `left` is what of a spend could still
    be given back.
    """

    account: Account
    why: Why
    slices: list[Slice]
    more_slices: int
    more_credits: int
    kind: str
    grant: ledger.Grant | None
    grant_can_be_taken_back: bool
    followed: list[Entry]
    left: int
    line: AuditLine | None


@require_role("finance", "support")
def show_entry(account_id: int, seq: int) -> ResponseReturnValue:
    """The explanation, with all that the record holds."""
    try:
        with unit_of_work() as session:
            view = read_entry(session, account_id=account_id, seq=seq)
    except (ledger.AccountNotFound, ledger.EntryNotFound):
        abort(404)
    may = {key: act.is_open_to(current_user.role or "") for key, act in ACTS.items()}
    return render_template(
        "admin/accounts/entry.html",
        v=view,
        a=view.account,
        why=view.why,
        e=view.why.entry,
        may=may,
        kind_label=kind_label,
    )


def read_entry(session: Session, *, account_id: int, seq: int) -> EntryView:
    """The entry and what became of it. Raises AccountNotFound, EntryNotFound."""
    account = ledger.get_account(session, account_id=account_id)
    why = explain(session, account_id=account_id, seq=seq, own_actor="")
    entry = why.entry
    makes_grant = entry.kind in ("grant", "purchase")
    grant = ledger.get_grant(session, account_id=account_id, grant_id=seq) if makes_grant else None
    followed = ledger.entries_about(session, account_id=account_id, seq=seq, limit=FOLLOWED)
    given_back = sum(one.amount for one in followed if one.kind == "refund")
    return EntryView(
        account=account,
        why=why,
        slices=why.slices[:SLICES],
        more_slices=len(why.slices[SLICES:]),
        more_credits=sum(one.credits for one in why.slices[SLICES:]),
        kind=kind_label(entry.kind),
        grant=grant,
        grant_can_be_taken_back=grant is not None and can_be_taken_back(grant),
        followed=followed,
        left=max(-entry.amount - given_back, 0) if entry.kind == "spend" else 0,
        line=_line_of(session, entry),
    )


def _line_of(session: Session, entry: Entry) -> AuditLine | None:
    """An entry that an act wrote has the act's submission as its key."""
    key = entry.idempotency_key or ""
    try:
        submission = UUID(key.removeprefix("admin:")) if key.startswith("admin:") else None
    except ValueError:
        return None
    return (
        None
        if submission is None
        else session.scalars(
            select(AuditLine).where(AuditLine.submission == submission, AuditLine.account_id == entry.account_id)
        ).one_or_none()
    )
