"""The menu of the admin pages: each role sees the sections that are open to it."""

from collections.abc import Mapping
from dataclasses import dataclass

from flask import Blueprint, Flask, redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from flask_login import current_user

from webapp.admin.acts import open_acts
from webapp.admin.approvals import count_waiting
from webapp.extensions import db
from webapp.layout.navigation import page_exists
from webapp.people.roles import require_role

ROLES = ("owner", "finance", "support", "translator")

# path → (label, roles besides the owner's)
SECTIONS: Mapping[str, tuple[object, tuple[str, ...]]] = {
    "/admin/overview": (_l("Overview"), ("finance", "support")),
    "/admin/approvals": (_l("Approvals"), ("finance", "support")),
    "/admin/accounts": (_l("Accounts"), ("finance", "support")),
    "/admin/bulk": (_l("Many at once"), ("finance",)),
    "/admin/purchases": (_l("Purchases"), ("finance", "support")),
    "/admin/subscriptions": (_l("Subscriptions"), ("finance", "support")),
    "/admin/disputes": (_l("Disputes"), ("finance",)),
    "/admin/events": (_l("Stripe events"), ("finance",)),
    "/admin/packages": (_l("Packages"), ("finance",)),
    "/admin/plans": (_l("Plans"), ("finance",)),
    "/admin/campaigns": (_l("Campaigns"), ("finance",)),
    "/admin/features": (_l("Features"), ("finance",)),
    "/admin/rate-card": (_l("Rate card"), ("finance",)),
    "/admin/reports": (_l("Reports"), ("finance",)),
    "/admin/proof": (_l("Proof"), ("finance",)),
    "/admin/audit-log": (_l("Audit log"), ("finance",)),
    "/admin/jobs": (_l("Jobs"), ("finance",)),
    "/admin/people": (_l("People with a role"), ()),
    "/admin/translations": (_l("Translations"), ("translator",)),
}

# Where the next group begins: whom it is about, what is sold, how it runs, who works here.
STARTS = frozenset({"/admin/accounts", "/admin/packages", "/admin/reports", "/admin/people"})

pages = Blueprint("admin", __name__)

APPROVALS = "/admin/approvals"
MOST_COUNTED = 100


@dataclass(frozen=True, kw_only=True)
class Section:
    """One line of the menu, the first of a group or not; `waiting` is how many things there somebody has to decide."""

    path: str
    label: str
    current: bool
    starts: bool = False
    waiting: int = 0

    @property
    def more(self) -> bool:
        """Whether more wait than were counted."""
        return self.waiting == MOST_COUNTED


def register(app: Flask) -> None:
    """Add /admin itself, and `admin_sections()` to templates."""
    app.register_blueprint(pages)
    app.jinja_env.globals["admin_sections"] = admin_sections


def admin_sections() -> list[Section]:
    """The sections that the signed-in person may open, existing ones only, and what waits there. One statement."""
    return [
        Section(
            path=path,
            label=str(label),
            current=f"{request.path}/".startswith(f"{path}/"),
            starts=path in STARTS,
            waiting=_waiting() if path == APPROVALS else 0,
        )
        for path, label in _open_sections()
    ]


def _open_sections() -> list[tuple[str, object]]:
    return [
        (path, label)
        for path, (label, roles) in SECTIONS.items()
        if page_exists(path) and current_user.role in ("owner", *roles)
    ]


def _waiting() -> int:
    return count_waiting(db.session(), acts=open_acts(current_user.role), most=MOST_COUNTED)


@pages.get("/admin")
@require_role(*ROLES)
def front() -> ResponseReturnValue:
    """The first section that is open to this person."""
    return redirect(next((path for path, _label in _open_sections()), "/credits"), 303)
