"""Credits for many accounts by a file: the runs and their lines, as they are kept."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Computed, DateTime, ForeignKey, Identity, Integer, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base

KINDS = ("grant", "take")


class BulkRun(Base):
    """One file that was handed in. `kind` says what it does; `state` is checked, running, done or stopped.

    `good` of its `lines` can be done, to so many `accounts`, with so many `credits` in all. `last_line` is how far the
    job has come, `moved` the credits so far. With `partial` a line takes what is there when that is less.
    """

    __tablename__ = "bulk_runs"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    partial: Mapped[bool] = mapped_column(Boolean)
    file_name: Mapped[str] = mapped_column(Text)
    ignored: Mapped[list[str]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    created_by: Mapped[int] = mapped_column(BigInteger)
    created_by_who: Mapped[str] = mapped_column(Text)
    lines: Mapped[int] = mapped_column(Integer, default=0)
    good: Mapped[int] = mapped_column(Integer, default=0)
    accounts: Mapped[int] = mapped_column(Integer, default=0)
    credits: Mapped[int] = mapped_column(BigInteger, default=0)
    state: Mapped[str] = mapped_column(Text)
    confirmed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    actor: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    last_line: Mapped[int] = mapped_column(Integer, default=0)
    done_lines: Mapped[int] = mapped_column(Integer, default=0)
    refused_lines: Mapped[int] = mapped_column(Integer, default=0)
    moved: Mapped[int] = mapped_column(BigInteger, default=0)

    @property
    def left_out(self) -> int:
        return self.lines - self.good

    @property
    def seen_lines(self) -> int:
        """How many of the good lines have an outcome."""
        return self.done_lines + self.refused_lines


class BulkLine(Base):
    """One line of a file; line 1 is the heading. `problems` are [column, code, data]; a good line has none.

    `given` is how the file names the account: its email is not kept once the account is known, for people leave.
    `available` is what was there when the line was checked, where that is less than it takes.
    """

    __tablename__ = "bulk_lines"

    run_id: Mapped[int] = mapped_column(ForeignKey("bulk_runs.id"), primary_key=True)
    line: Mapped[int] = mapped_column(Integer, primary_key=True)
    given: Mapped[str] = mapped_column(Text)
    account_id: Mapped[int | None] = mapped_column(BigInteger)
    credits: Mapped[int | None] = mapped_column(BigInteger)
    days: Mapped[int | None] = mapped_column(Integer)
    text: Mapped[str] = mapped_column(Text)
    available: Mapped[int | None] = mapped_column(BigInteger)
    problems: Mapped[list[list[Any]]] = mapped_column(JSONB)
    good: Mapped[bool] = mapped_column(Boolean, Computed("problems = '[]'::jsonb", persisted=True))
    outcome: Mapped[str | None] = mapped_column(Text)
    seq: Mapped[int | None] = mapped_column(BigInteger)
    moved: Mapped[int | None] = mapped_column(BigInteger)
    refusal: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
