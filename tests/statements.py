"""What an engine sends to PostgreSQL, for tests that count it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event


@contextmanager
def sent_through(engine: Engine) -> Iterator[list[str]]:
    """Every statement within the block; the list grows as they are sent.

    The look at the sandbox's clock is left out: a process takes it once a second, whoever asks for what.
    """
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "clock_ahead" not in statement:
            sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)
