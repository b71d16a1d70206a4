"""Where a form that is on every page leads back to."""

import re

from flask import request

# A path of ours: one slash, then neither slash nor backslash; no control character, no space, nothing above ASCII.
_OWN_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]{0,2000}")


def safe_back(target: str | None, *, default: str = "/") -> str:
    """`target` when it is a path on this host, else `default`."""
    return target if target and _OWN_PATH.fullmatch(target) else default


def here() -> str:
    """The path and query of this page, for the field `back`; the front page where this is the answer to a form."""
    if request.method not in ("GET", "HEAD"):
        return "/"
    path = request.full_path if request.query_string else request.path
    return safe_back(path.rstrip("?"))
