"""The application of a worker process, made once and shared with the horses that it forks."""

import os
from functools import cache

from flask import Flask


@cache
def application() -> Flask:
    """create_app() of the environment, once a process.

    A forked child gives up the connections that it inherited: they are its parent's.
    """
    from webapp import create_app

    app = create_app()
    os.register_at_fork(after_in_child=lambda: _forget_connections(app))
    return app


def _forget_connections(app: Flask) -> None:
    from webapp.extensions import db

    with app.app_context():
        db.engine.dispose(close=False)
