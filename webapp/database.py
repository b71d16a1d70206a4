"""The unit of work, the two database roles, migrations and the ledger's repeatable SQL."""

import hashlib
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import structlog
from alembic import command
from alembic.config import Config
from flask import Flask, current_app
from psycopg import errors
from psycopg.types.json import set_json_loads
from pydantic_core import from_json
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from webapp import clock, ledger, outbox
from webapp.extensions import db

log = structlog.get_logger()

# Whatever is read as jsonb, several times faster than by Python's own reader.
set_json_loads(from_json)

APP_ROLE = "tallystick_app"
MIGRATIONS = Path(__file__).parent / "migrations"
LEDGER_SQL = Path(__file__).parent / "ledger" / "sql"

# What a connection of the application may wait for, at the most; a page must not hang behind a lock.
LOCK_TIMEOUT_MS = 5_000
STATEMENT_TIMEOUT_MS = 30_000
# Parameters stay out of error messages, and so out of logs: they hold people's data and hashes.
ENGINE_OPTIONS = {"pool_size": 10, "max_overflow": 10, "pool_timeout": 5, "hide_parameters": True}

AUTOCOMMIT = "AUTOCOMMIT"
SNAPSHOT = "REPEATABLE READ"

# Serialization failure and deadlock: PostgreSQL undid the work and asks for all of it again.
REPEATABLE = ("40001", "40P01")
ATTEMPTS = 3
LONGEST_PAUSE_SECONDS = 0.05

Answer = TypeVar("Answer")


def sqlalchemy_url(url: str) -> str:
    """The URL with SQLAlchemy's name of the driver, from any form that PostgreSQL's own tools accept."""
    return "postgresql+psycopg://" + url.split("://", 1)[1]


@contextmanager
def unit_of_work() -> Iterator[Session]:
    """One database transaction: committed at the end, rolled back whole on any error; then `after_commit`."""
    session = db.session
    try:
        clock.follow(session(), movable=current_app.config["SANDBOX"])
        yield session()
        session.commit()
    except BaseException:
        session.rollback()
        outbox.take_pending(session())
        ledger.take_changed(session())
        raise
    after_commit(session())


def retried(work: Callable[[Session], Answer]) -> Answer:
    """What `work(session)` returns, in a unit of work of its own; after a deadlock or the like whole again.

    At most ATTEMPTS times, the last error is raised. Nothing of an attempt that failed is left: what it wrote, put in
    the outbox or had loaded is gone. So `work` may change nothing but the database, and returns what it found out.
    """

    def attempt() -> Answer:
        with unit_of_work() as session:
            return work(session)

    return try_again(attempt)


@contextmanager
def undone(session: Session) -> Iterator[None]:
    """To see what something would do: all that is written inside is undone at the end (a savepoint).

    What it locked stays locked until the database transaction ends.
    """
    savepoint = session.begin_nested()
    try:
        yield
    finally:
        savepoint.rollback()


def try_again(attempt: Callable[[], Answer], *, when: Callable[[DBAPIError], bool] | None = None) -> Answer:
    """What `attempt()` returns, tried up to ATTEMPTS times while it fails in a way that `when` says will pass.

    Without `when`: while PostgreSQL asks for that. Between attempts is a short pause of random length, so that two
    who met do not meet again at once. Each attempt must undo what it did before it raises.
    """
    passes = asks_for_repetition if when is None else when
    for number in range(1, ATTEMPTS):
        try:
            return attempt()
        except DBAPIError as error:
            if not passes(error):
                raise
            log.warning("tried_again", sqlstate=sqlstate(error), attempt=number)
        time.sleep(random.uniform(0, number * LONGEST_PAUSE_SECONDS))  # noqa: S311 - nobody gains by guessing it
    return attempt()


def asks_for_repetition(error: DBAPIError) -> bool:
    """Whether the same work, begun anew, can be expected to succeed."""
    return sqlstate(error) in REPEATABLE


def sqlstate(error: DBAPIError) -> str:
    """PostgreSQL's code for what went wrong; empty when the driver knows none."""
    return getattr(error.orig, "sqlstate", None) or ""


def after_commit(session: Session) -> None:
    """Tell the rest of the world what `session` has just committed.

    The outbox rows written in it are handed to RQ, and open tabs learn of balances that changed. When Redis is away
    that is only logged: the sweeper hands rows out later, and tabs ask again within seconds.
    """
    pending = outbox.take_pending(session)
    if pending:
        current_app.extensions["enqueue"](pending)
    changed = ledger.take_changed(session)
    if changed:
        current_app.extensions["publish_balances"](changed)


def configure(app: Flask, *, database_url: str, database_owner_url: str | None) -> None:
    """Point Flask-SQLAlchemy at the database, always with no more rights than the application's role has."""
    app.config["SQLALCHEMY_DATABASE_URI"] = sqlalchemy_url(database_url)
    app.config.setdefault("SQLALCHEMY_ENGINE_OPTIONS", ENGINE_OPTIONS)
    db.init_app(app)
    owner = make_url(database_owner_url or database_url).username
    restrict = make_url(database_url).username == owner
    with app.app_context():
        prepare_connections(db.engine, restrict=restrict)
        app.extensions["engines"] = {
            level: db.engine.execution_options(isolation_level=level) for level in (AUTOCOMMIT, SNAPSHOT)
        }


def engine_at(isolation_level: str) -> Engine:
    """The application's engine with that isolation level; one pool serves all of them.

    AUTOCOMMIT: each statement commits by itself. SNAPSHOT: all statements of a database transaction read one moment.
    """
    engine: Engine = current_app.extensions["engines"][isolation_level]
    return engine


def prepare_connections(engine: Engine, *, restrict: bool) -> None:
    """Every new connection speaks UTC and gives up on locks; with `restrict` it steps down to the app's role.

    `restrict` is for the one-URL set-up, where the login is also the owner.
    """

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        autocommit, connection.autocommit = connection.autocommit, True
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('timezone', 'UTC', false),"
                f" set_config('lock_timeout', '{LOCK_TIMEOUT_MS}', false),"
                f" set_config('statement_timeout', '{STATEMENT_TIMEOUT_MS}', false),"
                " set_config('idle_in_transaction_session_timeout', '60000', false)"
            )
            if restrict:
                cursor.execute(f"SET ROLE {APP_ROLE}")
        connection.autocommit = autocommit


def upgrade(*, owner_url: str, database_url: str | None = None, sandbox: bool = False) -> None:
    """Bring the database to this version: tables by migrations, then the ledger's functions and views.

    Runs as the owner. Afterwards the application's role may do what it needs and nothing more, and the ledger's
    clock can be moved exactly in sandbox mode. Safe to repeat and to run twice at once (an advisory lock).
    """
    engine = create_engine(sqlalchemy_url(owner_url))
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(7130551)"))
            connection.commit()
            with connection.begin():
                _prepare_roles(connection, login=make_url(database_url or owner_url).username)
            _migrate(connection)
            _install_repeatable_sql(connection)
            with connection.begin():
                connection.execute(text("SELECT ledger.let_clock_move(:sandbox)"), {"sandbox": sandbox})
            connection.execute(text("SELECT pg_advisory_unlock(7130551)"))
            connection.commit()
    finally:
        engine.dispose()


def _prepare_roles(connection: Connection, *, login: str | None) -> None:
    """The application's role exists, and `login` is a member of it."""
    exists = connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": APP_ROLE}).first()
    if exists is None:
        connection.execute(text(f"CREATE ROLE {APP_ROLE} NOLOGIN"))
    member = connection.execute(text("SELECT pg_has_role(:login, :role, 'MEMBER')"), {"login": login, "role": APP_ROLE})
    if not member.scalar_one():
        quoted = connection.execute(text("SELECT quote_ident(:login)"), {"login": login}).scalar_one()
        connection.execute(text(f"GRANT {APP_ROLE} TO {quoted}"))


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, without a file: the scripts beside this module, run over `connection`."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _migrate(connection: Connection) -> None:
    command.upgrade(alembic_config(connection), "head")
    connection.execute(text(f"GRANT SELECT ON alembic_version TO {APP_ROLE}"))  # /readyz compares it
    connection.commit()


def _install_repeatable_sql(connection: Connection) -> None:
    """Install in place; where PostgreSQL can't (a function returns something else now), drop and make anew."""
    try:
        with connection.begin():
            install_repeatable_sql(connection)
    except errors.InvalidFunctionDefinition:
        with connection.begin():
            _drop_functions(connection, "p.prorettype <> 'trigger'::regtype")
            install_repeatable_sql(connection)


def install_repeatable_sql(connection: Connection) -> bool:
    """Install the ledger's functions and views when their text has changed; returns whether it had.

    All files in name order, in the caller's database transaction; a function that no file defines any more is
    dropped. Table changes are not among them: those are migrations.
    """
    files = sorted(path for path in LEDGER_SQL.glob("*.sql") if path.name != "tables.sql")
    texts = [path.read_text(encoding="utf-8") for path in files]
    digest = hashlib.sha256("\x00".join(texts).encode()).hexdigest()
    installed = connection.execute(text("SELECT digest FROM ledger.installed_sql")).scalar_one_or_none()
    if installed == digest:
        return False
    *definitions, rights = texts
    for body in definitions:
        _run_script(connection, body)
    # What was just created or replaced carries this database transaction's id; what does not is of an older text.
    _drop_functions(connection, "p.xmin <> pg_current_xact_id()::xid")
    _run_script(connection, rights)
    connection.execute(text("DELETE FROM ledger.installed_sql"))
    connection.execute(text("INSERT INTO ledger.installed_sql (digest) VALUES (:digest)"), {"digest": digest})
    log.info("ledger_sql_installed", files=len(files))
    return True


def _run_script(connection: Connection, body: str) -> None:
    """Several statements in one go, as psql would; SQLAlchemy would read `%` and `:name` as parameters."""
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute(body)


def _drop_functions(connection: Connection, which: str) -> None:
    """Drop those functions of the ledger, and the views that call them (which every installation makes anew)."""
    signatures = connection.execute(
        text(
            "SELECT p.oid::regprocedure::text FROM pg_proc p"  # noqa: S608 - `which` is a constant of this file
            " WHERE p.pronamespace = 'ledger'::regnamespace AND " + which
        )
    ).scalars()
    for signature in signatures.all():
        connection.execute(text(f"DROP ROUTINE IF EXISTS {signature} CASCADE"))
