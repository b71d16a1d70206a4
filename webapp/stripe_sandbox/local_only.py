"""Keeps other sites' pages, opened in the same browser, from pressing the sandbox's buttons.

The sandbox has no log-in: whoever can reach its port may use it. So it answers only under names that the
person running it gave (no DNS rebinding) and takes posts only from its own pages.
"""

from urllib.parse import urlsplit

from flask import Request, abort

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def require_own_page(request: Request, *, base_url: str) -> None:
    """Aborts with 421 for a foreign Host and 403 for a POST that a foreign page sent."""
    names = LOCAL_NAMES | {(urlsplit(base_url).hostname or "localhost").lower()}
    if _hostname(f"//{request.host}") not in names:
        abort(421, "This name is not one of the sandbox's.")
    origin = request.headers.get("Origin")
    if request.method == "GET" or origin is None:
        return
    if urlsplit(origin).netloc.lower() != request.host.lower():
        abort(403, "Another site's page sent this.")


def _hostname(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""
