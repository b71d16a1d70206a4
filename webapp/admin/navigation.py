"""The menu of the admin pages: each role sees the sections that are open to it."""

from collections.abc import Mapping
from dataclasses import dataclass

from flask import Blueprint, Flask, redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from flask_login import current_user

from webapp.layout.navigation import page_exists
from webapp.people.roles import require_role

ROLES = ("owner", "finance", "support", "translator")

# path → (label, roles besides the owner's)
SECTIONS: Mapping[str, tuple[object, tuple[str, ...]]] = {
    "/admin/translations": (_l("Translations"), ("translator",)),
}

pages = Blueprint("admin", __name__)


@dataclass(frozen=True, kw_only=True)
class Section:
    """One line of the menu."""

    path: str
    label: str
    current: bool


def register(app: Flask) -> None:
    """Add /admin itself, and `admin_sections()` to templates."""
    app.register_blueprint(pages)
    app.jinja_env.globals["admin_sections"] = admin_sections


def admin_sections() -> list[Section]:
    """The sections that the signed-in person may open, existing ones only."""
    return [
        Section(path=path, label=str(label), current=f"{request.path}/".startswith(f"{path}/"))
        for path, (label, roles) in SECTIONS.items()
        if page_exists(path) and current_user.role in ("owner", *roles)
    ]


@pages.get("/admin")
@require_role(*ROLES)
def front() -> ResponseReturnValue:
    """The first section that is open to this person."""
    return redirect(admin_sections()[0].path if admin_sections() else "/credits", 303)
