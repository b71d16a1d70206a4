"""The application of a worker process, made once and shared with the horses that it forks."""

import os
from functools import cache

from flask import Flask, current_app


def application() -> Flask:
    """The application in whose context we are, as on the command line; else the one of the environment."""
    if current_app:
        app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
        return app
    return _of_environment()


@cache
def _of_environment() -> Flask:
    """create_app(), once a process. A forked child gives up the connections that it inherited: its parent's."""
    from webapp import create_app

    app = create_app()
    os.register_at_fork(after_in_child=lambda: _forget_connections(app))
    return app


def _forget_connections(app: Flask) -> None:
    from webapp.extensions import db

    with app.app_context():
        db.engine.dispose(close=False)
