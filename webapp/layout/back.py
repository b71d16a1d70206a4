"""Where a form that is on every page leads back to."""

from flask import request

from webapp.people.next_page import safe_next


def safe_back(target: str | None, *, default: str = "/") -> str:
    """`target` when it is a path of this very site, else `default`."""
    return safe_next(target) or default


def here() -> str:
    """The path and query of this page, for the field `back`; the front page where this is the answer to a form."""
    if request.method not in ("GET", "HEAD"):
        return "/"
    path = request.full_path if request.query_string else request.path
    return safe_back(path.rstrip("?"))
