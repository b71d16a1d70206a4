"""Who is signed in: the bridge between Flask-Login's cookie and our session rows."""

from flask import Flask, Response, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import login_user
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from webapp.extensions import db, htmx, login_manager
from webapp.people import sessions
from webapp.people.next_page import page_to_come_back_to
from webapp.people.user import User


def register(app: Flask) -> None:
    """Make `flask_login.current_user` the person whose session row the cookie names."""
    login_manager.session_protection = None  # rows are the protection, and addresses change on the way to work
    login_manager.init_app(app)
    login_manager.user_loader(load_user)
    login_manager.unauthorized_handler(ask_to_log_in)


def load_user(token: object) -> User | None:
    """The person of that session, by one statement of its own that leaves no database transaction open.

    So a page may talk to Stripe without holding one. When the database is away, the first caller gets the error
    and the page about it is then made as for nobody.
    """
    if g.get("user_not_loadable") or not isinstance(token, str):
        return None
    engine = db.engine.execution_options(isolation_level="AUTOCOMMIT")
    try:
        with Session(engine, expire_on_commit=False) as own:
            seen = sessions.find(own, token=token)
            if seen is None:
                return None
            own.expunge(seen.user)
            if seen.due:
                sessions.touch(own, session_id=seen.session_id, stay=seen.stay)
                session.modified = True  # the cookie of who stays signed in lives on from now, too
    except SQLAlchemyError:
        g.user_not_loadable = True
        raise
    seen.user.current_session_id = seen.session_id
    seen.user.session_token = token
    return seen.user


def ask_to_log_in() -> ResponseReturnValue:
    """Off to the log-in page, and back to this page afterwards."""
    target = url_for("people.log_in", next=page_to_come_back_to())
    if htmx_asks():
        return Response(status=401, headers={"HX-Redirect": target})
    return redirect(target, 303)


def let_in(database: Session, *, user: User, stay: bool) -> None:
    """This browser is signed in as `user`, with a new session, a new CSRF token and nothing of before.

    Belongs into the unit of work that made sure who it is.
    """
    user.session_token = sessions.start(
        database,
        user_id=user.id,
        stay=stay,
        ip=request.remote_addr or "",
        user_agent=request.headers.get("User-Agent", ""),
    )
    forget_browser()
    session.permanent = stay
    login_user(user)


def forget_browser() -> None:
    """Nothing is left in this browser's cookie, its CSRF token included."""
    session.clear()
    g.pop("csrf_token", None)


def htmx_asks() -> bool:
    """Whether htmx sent this request, and not the browser itself."""
    return bool(getattr(request, "htmx", False)) and htmx is not None
