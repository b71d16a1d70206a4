"""Acts: what a person with a role does to credits, money or people, each with a reason, at most once, and on record.

An act is described once, as data; `webapp.admin.acting` shows what it would do, asks for the password and carries it
out, and a second person may have to agree first (`webapp.admin.approvals`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from webapp import clock, ledger, outbox
from webapp.admin import approvals, audit
from webapp.admin.approvals import Approval
from webapp.admin.audit import AuditLine, Doer, Figures
from webapp.database import retried, unit_of_work
from webapp.people.user import User

# What one person does within it counts together: for the limit of support, and for what one may decide alone.
WINDOW = timedelta(hours=24)


class Refused(Exception):
    """It cannot be done; the message says in the reader's language why, and nothing was written. Names its field."""

    def __init__(self, message: object, *, field: str = "") -> None:
        self.message = message
        self.field = field
        super().__init__(str(message))


@dataclass(frozen=True, kw_only=True)
class Order:
    """By whom, why and under which key something is done. `key` is the idempotency key for the ledger and Stripe."""

    actor: str
    reason: str
    key: str


@dataclass(frozen=True, kw_only=True)
class Done:
    """What an act has done, or would do: the same figures before and after, by the names in `figure_words`.

    `credits` and `price_minor` are how much it moves, without a sign: they are held against limits. `needs_approval`
    is found out by `rehearse`.
    """

    subject: str
    account_id: int | None = None
    before: Figures
    after: Figures
    credits: int = 0
    price_minor: int = 0
    currency: str = ""
    needs_approval: bool = False


@dataclass(frozen=True, kw_only=True)
class Act:
    """`do(session, order, **arguments)` writes in the given session only; arguments are what JSON can say.

    It raises Refused. `roles` besides the owner's may do it. With `gives_credits`, people of support may give at most
    SUPPORT_GRANT_LIMIT a day in all.
    """

    key: str
    label: object
    done: object
    roles: tuple[str, ...]
    do: Callable[..., Done]
    gives_credits: bool = False

    def is_open_to(self, role: str) -> bool:
        return role == "owner" or role in self.roles


ACTS: dict[str, Act] = {}


def define(act: Act) -> Act:
    """The act is known by its key, for approvals and the words of the audit log."""
    assert act.key not in ACTS, act.key
    ACTS[act.key] = act
    return act


@dataclass(frozen=True, kw_only=True)
class Limits:
    """From which amount on a second person is asked (0: never), and what people of support may give a day."""

    approval_credits: int
    approval_minor: int
    support_grant_limit: int

    def need_approval(self, *, credits: int, price_minor: int) -> bool:
        return _over(credits, self.approval_credits) or _over(price_minor, self.approval_minor)


def _over(amount: int, limit: int) -> bool:
    return 0 < limit < amount


def rehearse(act: Act, *, by: Doer, limits: Limits, reason: str, arguments: Mapping[str, Any]) -> Done:
    """What it would do, found out by doing it in a database transaction that is rolled back. Raises Refused."""

    def work(session: Session) -> Done:
        done = act.do(session, Order(actor=by.actor, reason=reason, key="rehearsal"), **arguments)
        _within_limit(session, act, role=by.role, giver=by.user_id, limits=limits, done=done)
        return replace(done, needs_approval=_needs_approval(session, act, by=by, limits=limits, done=done))

    return _undone(work)


def rehearse_asked(asked: Approval, *, by: Doer, limits: Limits) -> Done:
    """What would be done if `by` agreed now. Raises Refused, and KeyError for an act that is no more."""
    return _undone(lambda session: _do_as_asked(session, asked, by=by, limits=limits, key="rehearsal"))


def _do_as_asked(session: Session, asked: Approval, *, by: Doer, limits: Limits, key: str) -> Done:
    """Two people who may do it are needed: the asker must still be one, and the other may agree to what they may do."""
    act = ACTS[asked.act]
    role = session.scalar(select(User.role).where(User.id == asked.asked_by).with_for_update(read=True))
    if role is None or not act.is_open_to(role):
        raise Refused(approvals.NOTHING_TO_DECIDE)
    done = act.do(session, Order(actor=asked.asked_by_actor, reason=asked.reason, key=key), **asked.arguments)
    _within_limit(session, act, role=by.role, giver=asked.asked_by, limits=limits, done=done)
    return done


def open_acts(role: str) -> list[str]:
    """The keys of all acts that somebody of that role may do, and so decide about."""
    return [act.key for act in ACTS.values() if act.is_open_to(role)]


def _undone(work: Callable[[Session], Done]) -> Done:
    done: Done | None = None
    try:
        with unit_of_work() as session:
            done = work(session)
            raise _Undo
    except _Undo:
        assert done is not None
    return done


class _Undo(Exception):
    pass


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The line of the log, or the approval that is waited for; `repeated` when it had been submitted before."""

    line_id: int | None = None
    approval_id: int | None = None
    repeated: bool = False


def perform(
    act: Act, *, by: Doer, limits: Limits, reason: str, arguments: Mapping[str, Any], submission: UUID
) -> Outcome:
    """It is done and on record, both or neither; or it waits for a second person, and nothing else was written.

    The same submission again does nothing more and says what came of the first. Raises Refused, also when the first
    waited for a second person, who declined.
    """

    def work(session: Session) -> Outcome:
        _one_at_a_time(session, submission)
        earlier = _earlier(session, act, by=by, submission=submission)
        if earlier is not None:
            return earlier
        with session.begin_nested() as attempt:
            order = Order(actor=by.actor, reason=reason, key=f"admin:{submission}")
            done = act.do(session, order, **arguments)
            _within_limit(session, act, role=by.role, giver=by.user_id, limits=limits, done=done)
            if not _needs_approval(session, act, by=by, limits=limits, done=done):
                line = _record(session, act, by=by, order=order, done=done, submission=submission)
                return Outcome(line_id=line.id)
            attempt.rollback()
        outbox.take_pending(session)
        ledger.take_changed(session)
        asked = approvals.ask(
            session, act=act.key, arguments=dict(arguments), reason=reason, by=by, done=done, submission=submission
        )
        return Outcome(approval_id=asked.id)

    return retried(work)


def approve(approval_id: int, *, by: Doer, limits: Limits) -> Outcome:
    """What was asked for is done as the asker asked, and both are on record.

    Raises Refused, and CannotDecide: see approvals.decide.
    """

    def work(session: Session) -> Outcome:
        asked = approvals.decide(session, approval_id=approval_id, by=by, decision="approved", open_to=_is_open_to)
        act = ACTS[asked.act]
        _note_decision(session, asked, by=by, act="approval.agree")
        order = Order(actor=asked.asked_by_actor, reason=asked.reason, key=f"admin:{asked.submission}")
        done = _do_as_asked(session, asked, by=by, limits=limits, key=order.key)
        asker = Doer(user_id=asked.asked_by, who=asked.asked_by_who, actor=asked.asked_by_actor, role="", ip=by.ip)
        line = _record(
            session, act, by=asker, order=order, done=done, submission=asked.submission, approval_id=asked.id
        )
        return Outcome(line_id=line.id, approval_id=None)

    return retried(work)


def decline(approval_id: int, *, by: Doer) -> None:
    """It will not be done. Whoever asked may take it back this way, too. Raises Refused."""

    def work(session: Session) -> None:
        asked = approvals.decide(session, approval_id=approval_id, by=by, decision="declined", open_to=_is_open_to)
        _note_decision(session, asked, by=by, act="approval.decline")

    retried(work)


def _note_decision(session: Session, asked: Approval, *, by: Doer, act: str) -> None:
    audit.record(
        session,
        by=by,
        act=act,
        subject=f"approval:{asked.id}",
        account_id=asked.account_id,
        before={"act": asked.act, "subject": asked.subject},
        after={"act": asked.act, "subject": asked.subject},
    )


def _is_open_to(act: str, role: str) -> bool:
    return act in ACTS and ACTS[act].is_open_to(role)


def _one_at_a_time(session: Session, submission: UUID) -> None:
    session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:it, 7130552))"), {"it": str(submission)})


def _earlier(session: Session, act: Act, *, by: Doer, submission: UUID) -> Outcome | None:
    line = session.scalars(select(AuditLine).where(AuditLine.submission == submission)).one_or_none()
    asked = session.scalars(select(Approval).where(Approval.submission == submission)).one_or_none()
    if line is None and asked is None:
        return None
    of = line.act if line is not None else asked.act if asked is not None else ""
    who = line.user_id if line is not None else asked.asked_by if asked is not None else None
    if of != act.key or who != by.user_id:
        raise Refused(approvals.BEGIN_ANEW)
    if line is None and asked is not None and asked.decision == "declined":
        raise Refused(approvals.DECIDED)
    return Outcome(
        line_id=None if line is None else line.id,
        approval_id=None if asked is None or line is not None else asked.id,
        repeated=True,
    )


def _record(
    session: Session,
    act: Act,
    *,
    by: Doer,
    order: Order,
    done: Done,
    submission: UUID,
    approval_id: int | None = None,
) -> AuditLine:
    return audit.record(
        session,
        by=by,
        act=act.key,
        subject=done.subject,
        account_id=done.account_id,
        reason=order.reason,
        before=done.before,
        after=done.after,
        credits=done.credits,
        price_minor=done.price_minor,
        currency=done.currency,
        submission=submission,
        approval_id=approval_id,
    )


def _needs_approval(session: Session, act: Act, *, by: Doer, limits: Limits, done: Done) -> bool:
    """Whether one person may not decide it alone: what they did alone of the same to the same account counts, too.

    So nobody does in parts what they may not do at once; two of their requests at once wait for each other.
    """
    if not (done.credits or done.price_minor) or not (limits.approval_credits or limits.approval_minor):
        return False
    _one_of_a_person_at_a_time(session, by.user_id)
    credits, price_minor = session.execute(
        select(
            func.coalesce(func.sum(AuditLine.credits), 0),
            func.coalesce(func.sum(AuditLine.price_minor).filter(AuditLine.currency == done.currency), 0),
        ).where(
            AuditLine.user_id == by.user_id,
            AuditLine.act == act.key,
            AuditLine.account_id.is_not_distinct_from(done.account_id),
            AuditLine.approval_id.is_(None),
            AuditLine.at > clock.now() - WINDOW,
        )
    ).one()
    return limits.need_approval(
        credits=done.credits and done.credits + int(credits),
        price_minor=done.price_minor and done.price_minor + int(price_minor),
    )


def _within_limit(session: Session, act: Act, *, role: str, giver: int | None, limits: Limits, done: Done) -> None:
    """Whoever of support does or agrees to it: the giver gives little a day. Their requests wait for each other."""
    if role != "support" or not act.gives_credits:
        return
    _one_of_a_person_at_a_time(session, giver)
    giving = [one.key for one in ACTS.values() if one.gives_credits]
    given = session.scalar(
        select(func.coalesce(func.sum(AuditLine.credits), 0)).where(
            AuditLine.user_id == giver,
            AuditLine.act.in_(giving),
            AuditLine.at > clock.now() - WINDOW,
        )
    )
    left = max(0, limits.support_grant_limit - int(given or 0))
    if done.credits > left:
        raise Refused(approvals.too_much(left))


def _one_of_a_person_at_a_time(session: Session, user_id: int | None) -> None:
    session.execute(text("SELECT pg_advisory_xact_lock(7130553, :id)"), {"id": (user_id or 0) % 2**31})
