"""/admin/rate-card/draft/publish: the draft becomes the next version, now or at a time, once."""

from datetime import UTC, datetime

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from sqlalchemy.orm import Session
from wtforms import IntegerField, StringField
from wtforms.validators import InputRequired, NumberRange

from webapp.admin import acting
from webapp.admin.acts import Act, Done, Order, Refused, define
from webapp.admin.finding_words import say
from webapp.admin.forms import Form, reason_field, stripped
from webapp.admin.moment_field import NotAMoment, read_moment
from webapp.admin.rate_card import names_of
from webapp.admin.rate_card_draft import gone, line
from webapp.catalog.rate_card import rate_card_in_force
from webapp.catalog.rate_card_draft import (
    DraftChanged,
    NoDraft,
    NothingChanges,
    find_draft,
    prices_of_draft,
    publish_draft,
)
from webapp.catalog.rate_card_file import CardRefused, changes_between
from webapp.catalog.rate_card_versions import EffectiveInThePast, prices_of
from webapp.database import unit_of_work
from webapp.people.roles import require_role

pages = Blueprint("admin_rate_card_publish", __name__)


def _publish(session: Session, order: Order, *, draft_id: int, revision: int, effective_at: str | None) -> Done:
    moment = datetime.fromisoformat(effective_at) if effective_at else None
    try:
        published = publish_draft(session, draft_id=draft_id, revision=revision, effective_at=moment)
    except NoDraft:
        raise Refused(_("This draft is gone. It was published or discarded.")) from None
    except DraftChanged:
        raise Refused(_("Somebody has changed the draft meanwhile. Look at it again before you publish it.")) from None
    except NothingChanges as same:
        words = _("Version %(number)s says the same, so there is nothing to publish.", number=same.version)
        raise Refused(words) from None
    except EffectiveInThePast:
        raise Refused(_("That moment is past."), field="effective_at") from None
    except CardRefused as refused:
        raise Refused("; ".join(say(finding) for finding in refused.findings)) from None
    card, changes = published.card, published.changes
    before = {change.feature: line(change.before) for change in changes}
    after = {change.feature: line(change.after) for change in changes}
    since = {"at": card.effective_at.astimezone(UTC).isoformat().replace("+00:00", "Z")}
    return Done(
        subject=f"rate-card:{card.version}",
        before={"rate_card": published.before, **before},
        after={"rate_card": card.version, "effective_at": since, **after},
    )


PUBLISH = define(
    Act(
        key="rate_card.publish",
        label=_l("Publish the rate card"),
        done=_l("The new version is published."),
        roles=("finance",),
        do=_publish,
    )
)


class PublishForm(Form):
    """Which draft, from when on, and why."""

    draft_id = IntegerField(validators=[InputRequired(), NumberRange(1, 2**63 - 1)])
    revision = IntegerField(validators=[InputRequired(), NumberRange(1, 2**31 - 1)])
    when = StringField()  # "at" a moment, else now
    effective_at = StringField(filters=[stripped])
    reason = reason_field()

    def moment(self) -> datetime | None:
        """From when on; None for at once. Raises NotAMoment."""
        return read_moment(self.effective_at.data or "") if self.when.data == "at" else None


@pages.route("/admin/rate-card/draft/publish", methods=["GET", "POST"])
@require_role("finance")
def publish() -> ResponseReturnValue:
    """When and why, then what it would change, then it is published."""
    form = PublishForm()
    if form.validate_on_submit():
        try:
            moment = form.moment()
        except NotAMoment:
            form.refuse("effective_at", _("Say the day and the time."))
            return _page(form)
        arguments = {
            "draft_id": form.draft_id.data,
            "revision": form.revision.data,
            "effective_at": moment.isoformat() if moment else None,
        }
        return acting.handle(
            PUBLISH,
            arguments=arguments,
            reason=form.reason.data,
            back="/admin/rate-card",
            refuse=lambda refusal: _page(form, refusal=refusal),
        )
    return _page(form)


def _page(form: PublishForm, *, refusal: Refused | None = None) -> ResponseReturnValue:
    with unit_of_work() as session:
        draft = find_draft(session)
        if draft is None:
            return gone()
        card = rate_card_in_force(session)
        prices = prices_of_draft(session, draft=draft)
        messages = form.messages
        if refusal is not None:
            messages[refusal.field or "when"] = str(refusal.message)
        html = render_template(
            "admin/rate_card/publish.html",
            form=form,
            messages=messages,
            draft=draft,
            changes=changes_between(prices_of(session, version=card.version) if card else {}, prices),
            names=names_of(session),
            card=card,
            time_zone=current_user.time_zone,
        )
    return html, 422 if messages else 200
