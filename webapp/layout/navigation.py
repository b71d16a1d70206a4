"""What the header shows: links to the pages that exist, who is signed in, which languages there are."""

from dataclasses import dataclass
from typing import Any

from flask import Flask, current_app, request
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from flask_login import current_user

from webapp.layout.back import here
from webapp.layout.theme import current_theme


@dataclass(frozen=True)
class Link:
    """One entry of a menu; `current` when the page lies at or below it."""

    path: str
    label: str
    current: bool


_SIGNED_IN = (
    ("/credits", lazy_pgettext("page", "Credits")),
    ("/credits/history", _l("History")),
    ("/credits/usage", _l("Usage")),
    ("/credits/playground", _l("Playground")),
    ("/plan", _l("Plan")),
    ("/pricing", _l("Buy")),
)


def register(app: Flask) -> None:
    """Give every template the header's data."""
    app.jinja_env.globals.update(page_exists=page_exists, signed_in=signed_in, main_links=main_links)
    app.context_processor(_shared)


def _shared() -> dict[str, Any]:
    return {"theme": current_theme(), "back": here(), "sandbox": current_app.config["SANDBOX"]}


def page_exists(path: str) -> bool:
    """Whether this application answers GET on `path`: menus link to nothing else."""
    known: dict[str, bool] = current_app.extensions.setdefault("known_pages", {})
    if path not in known:
        known[path] = current_app.url_map.bind("").test(path, "GET")
    return known[path]


def signed_in() -> bool:
    """Whether a person is signed in; does not raise where nobody could be."""
    return hasattr(current_app, "login_manager") and bool(current_user and current_user.is_authenticated)


def main_links() -> list[Link]:
    """The signed-in person's main menu, existing pages only; the longest path that fits is the current one."""
    entries = [(path, label) for path, label in _SIGNED_IN if page_exists(path) and _offered(path)]
    fitting = [path for path, _ in entries if f"{request.path}/".startswith(f"{path}/")]
    if request.path.startswith("/credits/entries/"):
        fitting = ["/credits/history"]
    current = max(fitting, key=len, default="")
    return [Link(path=path, label=str(label), current=path == current) for path, label in entries]


def _offered(path: str) -> bool:
    return path != "/credits/playground" or bool(current_app.config["SANDBOX"])
