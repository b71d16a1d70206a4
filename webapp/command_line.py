"""What `flask …` loads: the application, on the instance that runs in DATA_DIR where there is one."""

import os
import sys
from pathlib import Path
from types import TracebackType

from apiflask import APIFlask
from psycopg import Error, errors

from webapp import create_app as create
from webapp.config import Settings

_NOT_PREPARED = (errors.InvalidSchemaName, errors.UndefinedTable, errors.UndefinedFunction)


def create_app() -> APIFlask:
    """The application with the settings of the running instance, as far as the environment names none itself.

    So a command in another shell meets the same servers, port and secrets. With a DATABASE_URL of its own it is on
    its own.
    """
    sys.excepthook = say_in_one_line
    environ = dict(os.environ)
    if not environ.get("DATABASE_URL"):
        environ = running(Path(environ.get("DATA_DIR") or "instance").resolve()) | environ
    return create(Settings.from_environment(environ))


def running(data_dir: Path) -> dict[str, str]:
    """The environment of the instance that runs in `data_dir`; empty when none does."""
    try:
        from webapp.embedded.running import running_environment
    except ModuleNotFoundError:  # production installs without the extra `embedded`
        return {}
    return running_environment(data_dir=data_dir)


def say_in_one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What an operator can mend is said in a sentence; whatever else ended the command keeps its traceback."""
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, _NOT_PREPARED):
        print("The database is not prepared for this version: run `flask db upgrade`, or `make run`.", file=sys.stderr)  # noqa: T201
    elif isinstance(cause, errors.OperationalError) and isinstance(cause, Error) and cause.sqlstate is None:
        print(f"The database cannot be reached: {cause}", file=sys.stderr)  # noqa: T201
    else:
        sys.__excepthook__(kind, error, trace)
