"""/admin/rate-card/draft: the next rate card while it is written, as a whole."""

from dataclasses import dataclass

from flask import Blueprint, Response, abort, flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from webapp.admin import audit
from webapp.admin.finding_words import say
from webapp.admin.rate_card import as_file, names_of
from webapp.catalog.feature_changes import all_features
from webapp.catalog.rate_card import rate_card_in_force
from webapp.catalog.rate_card_draft import (
    DraftChanged,
    NoDraft,
    RateCardDraft,
    change_draft,
    find_draft,
    give_up_draft,
    prices_of_draft,
    start_draft,
)
from webapp.catalog.rate_card_file import (
    CardRefused,
    Change,
    Prices,
    changes_between,
    in_one_line,
    read_card,
    write_card,
)
from webapp.catalog.rate_card_lines import line_of
from webapp.catalog.rate_card_versions import known_features, prices_of
from webapp.database import unit_of_work
from webapp.people.roles import require_role

pages = Blueprint("admin_rate_card_draft", __name__, url_prefix="/admin/rate-card")

SUBJECT = "rate-card:draft"
MOST_CHARACTERS = 200_000


@pages.post("/draft/start")
@require_role("finance")
def start() -> ResponseReturnValue:
    """There is a draft that says what is in force; one that is there already stays."""
    with unit_of_work() as session:
        draft, is_new = start_draft(session, by=audit.doer().who)
        if is_new:
            audit.record(
                session,
                by=audit.doer(),
                act="rate_card.draft.start",
                subject=SUBJECT,
                after={"rate_card": draft.based_on},
            )
    if not is_new:
        flash(_("There was a draft already. Here it is."))
    return redirect("/admin/rate-card/draft", 303)


@pages.get("/draft")
@require_role("finance")
def draft() -> ResponseReturnValue:
    """The draft's prices, and what would change by them."""
    with unit_of_work() as session:
        found = find_draft(session)
        if found is None:
            return gone()
        card = rate_card_in_force(session)
        in_force = prices_of(session, version=card.version) if card else {}
        prices = prices_of_draft(session, draft=found)
        return render_template(
            "admin/rate_card/draft.html",
            draft=found,
            card=card,
            features=all_features(session),
            names=names_of(session),
            prices=prices,
            changes=changes_between(in_force, prices),
        )


@pages.post("/draft/discard")
@require_role("finance")
def discard() -> ResponseReturnValue:
    """The draft is given up, and the log says what it would have changed."""
    try:
        with unit_of_work() as session:
            found = find_draft(session)
            if found is None:
                raise NoDraft
            prices = prices_of_draft(session, draft=found)
            give_up_draft(session, **_seen())
            card = rate_card_in_force(session)
            changes = changes_between(prices_of(session, version=card.version) if card else {}, prices)
            record_changes(session, changes, act="rate_card.draft.discard")
    except NoDraft:
        return gone()
    except DraftChanged:
        flash(_("Somebody has changed the draft meanwhile. Look at it again."))
        return redirect("/admin/rate-card/draft", 303)
    flash(_("The draft is discarded."))
    return redirect("/admin/rate-card", 303)


@pages.get("/draft.toml")
@require_role("finance")
def draft_file() -> Response:
    """The draft as a file."""
    with unit_of_work() as session:
        found = find_draft(session)
        if found is None:
            abort(404)
        content = _as_text(session, found)
    return as_file(content, name="rate-card-draft.toml")


@pages.get("/draft/text")
@require_role("finance")
def text() -> ResponseReturnValue:
    """The whole draft as TOML, to be edited."""
    with unit_of_work() as session:
        found = find_draft(session)
        return gone() if found is None else _text_page(session, found, content=_as_text(session, found))


@pages.post("/draft/text")
@require_role("finance")
def save_text() -> ResponseReturnValue:
    """The draft says what the text says; else each fault with its line and place, and what was typed."""
    content = request.form.get("content", "").replace("\r\n", "\n")
    with unit_of_work() as session:
        found = find_draft(session)
        if found is None:
            return gone()
        if len(content) > MOST_CHARACTERS:
            return _text_page(session, found, content=content, faults=[_too_long()]), 422
        try:
            prices = read_card(content, features=known_features(session))
        except CardRefused as refused:
            faults = [_fault(content, finding.where, say(finding), str(finding)) for finding in refused.findings]
            return _text_page(session, found, content=content, faults=faults), 422
        try:
            save(session, draft=found, prices=prices)
        except NoDraft:
            return gone()
        except DraftChanged as changed:
            differences = changes_between(prices_of_draft(session, draft=changed.draft), prices)
            return _text_page(session, changed.draft, content=content, differences=differences), 409
    flash(_("The draft is saved."))
    return redirect("/admin/rate-card/draft", 303)


def save(session: Session, *, draft: RateCardDraft, prices: Prices) -> None:
    """The draft says that, by the form's draft and revision, and the log says what changed.

    Raises NoDraft and DraftChanged; nothing was written then.
    """
    before = prices_of_draft(session, draft=draft)
    change_draft(session, **_seen(), prices=prices, by=audit.doer().who)
    record_changes(session, changes_between(before, prices), act="rate_card.draft.change")


def record_changes(session: Session, changes: list[Change], *, act: str) -> None:
    """The log has a line with the prices that changed, unless none did."""
    if changes:
        before = {change.feature: line(change.before) for change in changes}
        after = {change.feature: line(change.after) for change in changes}
        audit.record(session, by=audit.doer(), act=act, subject=SUBJECT, before=before, after=after)


def line(pricing: object) -> str | None:
    """A price as the log keeps it; None for none."""
    return None if pricing is None else in_one_line(pricing)  # type: ignore[arg-type]


def gone() -> ResponseReturnValue:
    """Back to the rate card: there is no draft, or not that one any more."""
    flash(_("This draft is gone. It was published or discarded."))
    return redirect("/admin/rate-card", 303)


def _seen() -> dict[str, int]:
    """Which draft, at which revision, the form was made for."""
    return {name: number_of(request.form.get(name, "")) for name in ("draft_id", "revision")}


def number_of(written: str) -> int:
    """A number of ours that a form brings back; 0, which is none, for anything else."""
    return int(written) if written.isascii() and written.isdigit() and len(written) < 19 else 0


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that is wrong with the text. `where` is a path in the file, such as features.image.credits."""

    line: int | None
    where: str
    says: str


def _fault(content: str, where: str, says: str, in_english: str) -> Fault:
    return Fault(line=line_of(content, where=where, says=in_english), where=where, says=says)


def _too_long() -> Fault:
    return Fault(line=None, where="", says=_("The text is too long."))


def _as_text(session: Session, draft: RateCardDraft) -> str:
    prices = prices_of_draft(session, draft=draft)
    return write_card(prices, heading="Draft of the rate card", names=names_of(session))


def _text_page(
    session: Session,
    draft: RateCardDraft,
    *,
    content: str,
    faults: list[Fault] | None = None,
    differences: list[Change] | None = None,
) -> str:
    return render_template(
        "admin/rate_card/text.html",
        draft=draft,
        content=content,
        faults=faults or [],
        differences=differences,
        names=names_of(session),
    )
