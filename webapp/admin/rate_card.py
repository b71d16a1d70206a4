"""/admin/rate-card: what features cost now, every version that there was, and each of them as a file."""

from collections.abc import Mapping

from flask import Blueprint, Response, abort, render_template
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp import clock
from webapp.admin.listing import Column, Listing, Rows, Sort, list_csv, list_page
from webapp.catalog.feature_changes import all_features
from webapp.catalog.rate_card import Feature, RateCard, rate_card_in_force
from webapp.catalog.rate_card_draft import find_draft
from webapp.catalog.rate_card_file import Prices, changes_between, write_card
from webapp.catalog.rate_card_versions import NoSuchVersion, prices_of
from webapp.database import unit_of_work
from webapp.people.roles import require_role

pages = Blueprint("admin_rate_card", __name__)

NEWEST = 10


def _selection(_values: Mapping[str, str]) -> Rows:
    return select(RateCard.version, RateCard.effective_at, RateCard.published_at)


LISTING = Listing(
    key="rate-cards",
    title=_l("Versions of the rate card"),
    path="/admin/rate-card/versions",
    id=RateCard.version,
    selection=_selection,
    columns=(
        Column(
            key="version",
            label=_l("Version"),
            show=lambda row: (f"/admin/rate-card/versions/{row.version}", row.version),
            kind="link",
        ),
        Column(key="effective_at", label=_l("In force from"), show=lambda row: row.effective_at, kind="moment"),
        Column(key="published_at", label=_l("Published"), show=lambda row: row.published_at, kind="moment"),
    ),
    sorts=(Sort(key="newest", label=_l("Newest first"), by=RateCard.version),),
)


@pages.get("/admin/rate-card")
@require_role("finance")
def overview() -> ResponseReturnValue:
    """The version in force with its prices, the newest versions, and the draft or the way to one."""
    with unit_of_work() as session:
        card = rate_card_in_force(session)
        newest = session.scalars(select(RateCard).order_by(RateCard.version.desc()).limit(NEWEST)).all()
        return render_template(
            "admin/rate_card/overview.html",
            card=card,
            features=all_features(session),
            prices=prices_of(session, version=card.version) if card else {},
            newest=newest,
            announced=sorted(
                (one for one in newest if one.effective_at > clock.now()), key=lambda one: one.effective_at
            ),
            draft=find_draft(session),
        )


@pages.get(LISTING.path)
@require_role("finance")
def versions() -> ResponseReturnValue:
    """All versions, the newest first."""
    return list_page(LISTING)


@pages.get(f"{LISTING.path}.csv")
@require_role("finance")
def versions_csv() -> Response:
    """The same as CSV."""
    return list_csv(LISTING)


@pages.get("/admin/rate-card/versions/<number:version>")
@require_role("finance")
def version(version: int) -> ResponseReturnValue:
    """What that version says, and what changed by it."""
    with unit_of_work() as session:
        prices = _prices(session, version)
        card = session.get_one(RateCard, version)
        before = prices_of(session, version=version - 1) if session.get(RateCard, version - 1) else {}
        return render_template(
            "admin/rate_card/version.html",
            card=card,
            in_force=rate_card_in_force(session) is card,
            announced=card.effective_at > clock.now(),
            features=all_features(session),
            names=names_of(session),
            prices=prices,
            changes=changes_between(before, prices) if before else [],
        )


@pages.get("/admin/rate-card/versions/<number:version>.toml")
@require_role("finance")
def version_file(version: int) -> Response:
    """That version as a file, to be kept beside code."""
    with unit_of_work() as session:
        heading = f"Rate card, as of version {version}"
        content = write_card(_prices(session, version), heading=heading, names=names_of(session))
    return as_file(content, name=f"rate-card-{version}.toml")


def as_file(content: str, *, name: str) -> Response:
    """A TOML file to be saved."""
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, mimetype="application/toml", headers=disposition)


def names_of(session: Session) -> dict[str, str]:
    """Each feature's English name by its key."""
    return {feature.key: feature.name for feature in session.scalars(select(Feature))}


def _prices(session: Session, version: int) -> Prices:
    try:
        return prices_of(session, version=version)
    except NoSuchVersion:
        abort(404)
