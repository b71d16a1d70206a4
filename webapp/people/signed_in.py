"""Who is signed in: the bridge between Flask-Login's cookie and our session rows."""

from flask import Flask, Response, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from webapp.extensions import htmx, login_manager
from webapp.people import portal_session, seen_as, sessions
from webapp.people.next_page import page_to_come_back_to
from webapp.people.user import User
from webapp.people.visitor import SeenAccount, Visitor
from webapp.reading import close_reader, reader

# Where a visitor is somebody: the account's own pages. Whatever is about a person, or comes to be, is not among them.
_VISITORS_BLUEPRINTS = {"credits", "pricing", "checkout", "checkout_return", "subscribe", "plan", "cards"}
_VISITORS_ENDPOINTS = {"language", "people.log_out", "people.portal", "people.open_portal"}
# Which of those pages somebody with a role sees as the account's holder does.
SEEN_BLUEPRINTS = {"credits", "pricing", "plan"}
READING = ("GET", "HEAD", "OPTIONS")


def register(app: Flask) -> None:
    """Make `flask_login.current_user` the person whose session row the cookie names."""
    login_manager.session_protection = None  # rows are the protection, and addresses change on the way to work
    login_manager.init_app(app)
    login_manager.user_loader(load_user)
    login_manager.unauthorized_handler(ask_to_log_in)
    app.jinja_env.globals["seen_account"] = seen_account


def load_user(token: object) -> User | Visitor | None:
    """The person of that session, by one statement that leaves no database transaction open.

    So a page may talk to Stripe without holding one. When the database is away, the first caller gets the error
    and the page about it is then made as for nobody.
    """
    if g.get("user_not_loadable") or not isinstance(token, str):
        return None
    is_visitor = token.startswith(portal_session.PREFIX)
    if is_visitor and not _is_for_visitors():
        return None
    try:
        own = reader()
        if is_visitor:
            return _visitor(own, token)
        seen = sessions.find(own, token=token)
        if seen is None:
            return None
        if seen.due:
            sessions.touch(own, session_id=seen.session_id, stay=seen.stay)
            session.modified = True  # the cookie of who stays signed in lives on from now, too
        seeing = _seeing(own, seen)
    except SQLAlchemyError:
        g.user_not_loadable = True
        close_reader()
        raise
    finally:
        if request.method not in READING:  # what follows is written, by a connection of its own
            close_reader()
    seen.user.current_session_id = seen.session_id
    seen.user.session_token = token
    seen.user.seeing = seeing
    if seeing is not None and request.method in READING and request.blueprint in SEEN_BLUEPRINTS:
        return seeing
    return seen.user


def _seeing(own: Session, seen: sessions.Seen) -> SeenAccount | None:
    """Whose pages this session looks at; only a browser whose cookie says so is asked about."""
    if seen_as.MARK not in session or seen.user.role is None:
        return None
    return seen_as.find(own, session_id=seen.session_id)


def seen_account() -> SeenAccount | None:
    """Whose pages this browser looks at as their holder sees them, on those pages and on any other."""
    if seen_as.MARK not in session:
        return None
    somebody = current_user._get_current_object()
    return somebody if isinstance(somebody, SeenAccount) else getattr(somebody, "seeing", None)


def _is_for_visitors() -> bool:
    return request.blueprint in _VISITORS_BLUEPRINTS or request.endpoint in _VISITORS_ENDPOINTS


def _visitor(own: Session, token: str) -> Visitor | None:
    found = portal_session.find_visitor(own, token=token)
    if found is None:
        return None
    visitor, due = found
    if due:
        portal_session.touch(own, portal_session_id=visitor.current_session_id)
    return visitor


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


def let_visitor_in(database: Session, *, token: str) -> None:
    """This browser is in the portal session of that token, with nothing of before, until it is closed."""
    found = portal_session.find_visitor(database, token=token)
    assert found is not None, "open_link has just made it"
    forget_browser()
    session.permanent = False
    login_user(found[0])


def forget_browser() -> None:
    """Nothing is left in this browser's cookie, its CSRF token included."""
    session.clear()
    g.pop("csrf_token", None)


def htmx_asks() -> bool:
    """Whether htmx sent this request, and not the browser itself."""
    return bool(getattr(request, "htmx", False)) and htmx is not None
