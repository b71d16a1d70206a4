"""Killing a job at any point: the statement of that number is never answered, as when the process is gone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from sqlalchemy import event

from webapp.extensions import db


class Killed(BaseException):
    """No handler of the job's own catches it."""


@contextmanager
def killed_at(app: Flask, number: int) -> Iterator[list[int]]:
    """The job that runs within dies at its statement of that number, from 1 on; yields how many there were."""
    seen = [0]

    def kill(*_arguments: Any) -> None:
        seen[0] += 1
        if seen[0] == number:
            raise Killed

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", kill)
    try:
        yield seen
    except Killed:
        pass
    finally:
        event.remove(engine, "before_cursor_execute", kill)
