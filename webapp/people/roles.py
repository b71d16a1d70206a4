"""Who may see what: pages for people with a role."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from flask import abort, current_app
from flask.typing import ResponseReturnValue
from flask_login import current_user
from werkzeug.exceptions import HTTPException

from webapp.extensions import login_manager

Arguments = ParamSpec("Arguments")
View = Callable[Arguments, ResponseReturnValue]


def require_role(*roles: str) -> Callable[[View[Arguments]], View[Arguments]]:
    """The view is for people with one of `roles`; an owner may see everything.

    Nobody signed in is sent to the log-in page; who lacks the role learns no more than from a page that isn't
    there.
    """

    def decorate(view: View[Arguments]) -> View[Arguments]:
        @wraps(view)
        def guarded(*args: Arguments.args, **kwargs: Arguments.kwargs) -> ResponseReturnValue:
            if not current_user.is_authenticated:
                answer: ResponseReturnValue = login_manager.unauthorized()
                return answer
            if current_user.role != "owner" and current_user.role not in roles:
                abort(404)
            return view(*args, **kwargs)

        guarded.open_to = frozenset({"owner", *roles})  # type: ignore[attr-defined]
        return guarded

    return decorate


def may_open(path: str) -> bool:
    """Whether a page answers this path, and the signed-in person's role is enough for it."""
    try:
        endpoint, _arguments = current_app.url_map.bind("").match(path.partition("?")[0], "GET")
    except HTTPException:
        return False
    return getattr(current_user, "role", None) in roles_of(current_app.view_functions[endpoint])


def roles_of(view: Callable[..., object]) -> frozenset[str]:
    """The roles that a view guarded by `require_role` is open to; none for any other view."""
    found: frozenset[str] = getattr(view, "open_to", frozenset())
    return found
