"""Connections that are kept from one request to the next: to begin one costs PostgreSQL more than most requests do."""

import select
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.rows import TupleRow

Connection = psycopg.Connection[TupleRow]

MOST_IDLE = 5


class Connections:
    """The connections to the database at `dsn`. Threads may share this; each connection is with one at a time."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._idle: deque[Connection] = deque()
        weakref.finalize(self, _close_all, self._idle)

    @contextmanager
    def one(self) -> Iterator[Connection]:
        """One of them, in a database transaction: committed at the end, rolled back on any error.

        Where the server was restarted since, a new one takes its place. Raises psycopg.OperationalError.
        """
        connection = self._take()
        try:
            yield connection
            connection.commit()
        except BaseException:
            connection.close()  # which rolls back
            raise
        if len(self._idle) < MOST_IDLE:
            self._idle.append(connection)
        else:
            connection.close()

    def _take(self) -> Connection:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return psycopg.connect(self._dsn)
            if _is_alive(connection):
                return connection
            connection.close()


def _is_alive(connection: Connection) -> bool:
    """Nothing to read: a server that ends, or is killed, says so or closes its side."""
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


def _close_all(connections: deque[Connection]) -> None:
    while connections:
        connections.pop().close()
