"""Where to go after signing in: only ever to a page of our own."""

import re
from urllib.parse import quote, urlsplit

from flask import request
from werkzeug.exceptions import HTTPException

MOST_CHARACTERS = 2_000
# A path of ours in printable ASCII without a backslash, and nothing that turns into one of those when decoded.
_PATH = re.compile(r"/[!-\[\]-~]*")
_HIDDEN = re.compile(r"%(?:[01][0-9a-f]|7f|5c)", re.IGNORECASE)
_HIDDEN_IN_PATH = re.compile(r"//|%2f|%25|/\.{1,2}(?:/|$)|/(?:%2e|\.){1,2}(?:/|$)", re.IGNORECASE)


def safe_next(target: str | None) -> str | None:
    """`target` when it is a path of this very site that every browser reads as one, else None.

    Browsers take `//host`, `/\\host` and `///host` for another host and drop tabs and line ends from a URL.
    """
    if not target or len(target) > MOST_CHARACTERS or not _PATH.fullmatch(target) or _HIDDEN.search(target):
        return None
    path = re.split(r"[?#]", target, maxsplit=1)[0]
    if _HIDDEN_IN_PATH.search(path):
        return None
    parts = urlsplit(target)
    return None if parts.scheme or parts.netloc else target


def page_to_come_back_to() -> str | None:
    """The page that the present request is for, or stands on when it is a form or a fragment, if any."""
    if request.headers.get("HX-Request") == "true":
        parts = urlsplit(request.headers.get("HX-Current-URL", ""))
        return safe_next(parts.path + (f"?{parts.query}" if parts.query else ""))
    path = quote(request.path, safe="/:@!$&'()*+,;=-._~")
    if request.method in ("GET", "HEAD"):
        query = request.query_string.decode("ascii", "ignore")
        return safe_next(path + (f"?{query}" if query else ""))
    return safe_next(path) if _has_a_page() else None


def _has_a_page() -> bool:
    from flask import current_app

    adapter = current_app.create_url_adapter(request)
    try:
        return adapter is not None and adapter.test(request.path, method="GET")
    except HTTPException:
        return False
