"""The ledger's clock, the only one that decides what has expired."""

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp.ledger.call import call


def now(session: Session) -> datetime:
    """The ledger's time, in UTC."""
    moment: datetime = call(session, text("SELECT ledger.now() AS moment"), {})["moment"]
    return moment


def advance_clock(session: Session, *, by: timedelta) -> datetime:
    """Move the ledger's clock forward; returns its time after that. In sandbox mode only.

    Raises InvalidRequest when `by` is not positive or the clock may not move; nothing changed then.
    """
    moment: datetime = call(session, text("SELECT ledger.advance_clock(:by) AS moment"), {"by": by})["moment"]
    return moment


def turn_back(session: Session, *, to: datetime | None) -> datetime:
    """In this database transaction, and for nobody else, it is `to` from now on; returns the time. Sandbox only.

    None is the present, to which time has to be led back before the commit, or that fails. Time goes on meanwhile.
    Locks the clock's row, so that nobody moves it, until the transaction ends. Raises InvalidRequest when `to` lies in
    the future or the clock may not move; nothing changed then.
    """
    moment: datetime = call(session, text("SELECT ledger.turn_back(:to) AS moment"), {"to": to})["moment"]
    return moment


def clock_can_move(session: Session) -> bool:
    """Whether this database was brought up to date in sandbox mode: what it holds is play money then."""
    answer: bool = session.execute(text("SELECT ledger.clock_can_move()")).scalar_one()
    return answer
