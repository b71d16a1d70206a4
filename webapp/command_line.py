"""What `flask …` loads: the application, on the instance that runs in DATA_DIR where there is one."""

import os
from pathlib import Path

from apiflask import APIFlask

from webapp import create_app as create
from webapp.config import Settings


def create_app() -> APIFlask:
    """The application with the settings of the running instance, as far as the environment names none itself.

    So a command in another shell meets the same servers, port and secrets. With a DATABASE_URL of its own it is on
    its own.
    """
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
