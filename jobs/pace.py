"""Leaving room for others: a job of many chunks looks after each who else is at work, and rests for them.

The model. A chunk keeps a core and the disk busy, and takes from whoever works meanwhile what that is worth. So after
each chunk the job counts the sessions that are in the midst of something in that moment, and rests twice as long as the
chunk took for each of them, four times as long at the most. Nobody there: no rest. A session that is there a tenth of
the time, like the few statements of a thousand live balances, is met by one chunk in ten, so it costs the job a sixth
of its rate. Two that are always there leave it a fifth of the time, and keep most of theirs. Jobs meet each other, too:
two of them with nobody else work half of the time each, and as the rest is bounded, none starves.
"""

from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp.database import unit_of_work

# Of the time that the chunk took: for each session that is busy, and for all of them.
REST_FOR_EACH = 2.0
LONGEST_REST = 4.0
# A chunk may have waited for a lock, and was no burden then.
LONGEST_SECONDS = 5.0

# A role sees what sessions of its own do: all of ours, behind a pooler, too. Where ours are hidden, because all log in
# as the owner and step down, one of them is taken to be busy. A transaction left open and forgotten is nobody at work.
_BUSY = text("""
SELECT count(*) FILTER (WHERE state = 'active' OR state_change > clock_timestamp() - interval '50 milliseconds')
     + least(count(*) FILTER (WHERE state IS NULL AND usename = session_user), 1)
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
""")

Done = TypeVar("Done")


def paced(chunk: Callable[[], Done], *, longest_seconds: float) -> Iterator[Done]:
    """What each `chunk()` returns, until that is nothing or so much time has passed; it rests between them."""
    began = monotonic()
    while (chunk_began := monotonic()) - began < longest_seconds:
        done = chunk()
        taken = monotonic() - chunk_began
        if not done:
            break
        yield done
        rest_after(taken)


def rest_after(taken: float) -> None:
    """Leave room for whoever is at work now, after a chunk that took so many seconds."""
    with unit_of_work() as session:
        busy = count_busy(session)
    if busy:
        sleep(rest_of(taken, busy=busy))


def rest_of(taken: float, *, busy: int) -> float:
    """How many seconds to rest after a chunk that took so many, for so many sessions."""
    return min(taken * min(REST_FOR_EACH * busy, LONGEST_REST), LONGEST_SECONDS)


def count_busy(session: Session) -> int:
    """How many other sessions in this database have a statement running, or a transaction that goes on."""
    return int(session.execute(_BUSY).scalar_one())
