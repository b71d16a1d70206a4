"""What the pages of packages and plans share: saved once, never over somebody else's change unseen, and on record."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic
from uuid import UUID, uuid4

from flask import request
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from webapp.admin import approvals, audit, figure_words
from webapp.admin.acts import Refused
from webapp.admin.audit import AuditLine, Doer, Figures
from webapp.admin.figure_words import Pair
from webapp.catalog import offers
from webapp.catalog.offers import Offer, PackageTerms, PlanTerms, Prices
from webapp.database import retried, unit_of_work
from webapp.i18n import content


@dataclass(frozen=True, kw_only=True)
class Kind(Generic[Offer]):
    """Packages or plans. `word` begins its acts and subjects; `also` does what goes with a change of these figures."""

    word: str
    model: type[Offer]
    figures: Callable[[Offer], Figures]
    also: Callable[[Session, Offer, Figures], None] = field(default=lambda _session, _offer, _before: None)

    def subject(self, code: str) -> str:
        return f"{self.word}:{code}"

    def untranslated(self, offer: Offer) -> list[str]:
        """In which languages its name or its description is still English."""
        return content.untranslated_in([(self.word, offer.name), (f"{self.word} description", offer.description)])


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a form came to. `submission` tells one submission of a form from the next."""

    code: str
    terms: PackageTerms | PlanTerms
    prices: Prices
    submission: UUID
    by: Doer


@dataclass(frozen=True, kw_only=True)
class Meanwhile:
    """What others have changed since a version was seen: who, and the figures then and now."""

    who: list[str]
    pairs: list[Pair]
    version: int


def find(kind: Kind[Offer], *, code: str) -> Offer | None:
    """The one of that code with its prices, as it is stored now, to be read without a session."""
    with unit_of_work() as session:
        if "\0" in code:
            return None
        offer = session.get(kind.model, code, populate_existing=True)
        if offer is not None:
            for price in offer.prices:
                session.expunge(price)
            session.expunge(offer)
    return offer


def create(kind: Kind[Offer], wanted: Wanted, *, active: bool, **more: str) -> None:
    """It exists and is on record; the same submission again does nothing. Raises CodeTaken and Refused."""

    def work(session: Session) -> None:
        act = f"{kind.word}.create"
        if not _is_first(session, wanted, act=act, subject=kind.subject(wanted.code)):
            return
        made = offers.create_offer(
            session,
            kind.model,
            code=wanted.code,
            terms=wanted.terms,
            prices=wanted.prices,
            active=active,
            **more,
        )
        _record(session, kind, made, by=wanted.by, act=act, before={}, submission=wanted.submission)

    retried(work)


def change(kind: Kind[Offer], wanted: Wanted, *, version: int) -> bool:
    """It promises that from now on, and it is on record; false where there was nothing to change.

    The same submission again does nothing. Raises OfferNotFound, ChangedMeanwhile and Refused.
    """

    def work(session: Session) -> bool:
        act = f"{kind.word}.change"
        if not _is_first(session, wanted, act=act, subject=kind.subject(wanted.code)):
            return True
        offer = offers.lock_offer(session, kind.model, code=wanted.code, version=version)
        before = kind.figures(offer)
        if not offers.change_offer(session, kind.model, offer=offer, terms=wanted.terms, prices=wanted.prices):
            return False
        kind.also(session, offer, before)
        _record(session, kind, offer, by=wanted.by, act=act, before=before, submission=wanted.submission)
        return True

    return retried(work)


def switch(kind: Kind[Offer], *, code: str, active: bool, by: Doer) -> None:
    """It is on sale, or no more, and that is on record. Raises OfferNotFound."""

    def work(session: Session) -> None:
        if offers.switch_offer(session, kind.model, code=code, active=active):
            act = f"{kind.word}.{'activate' if active else 'deactivate'}"
            audit.record(
                session,
                by=by,
                act=act,
                subject=kind.subject(code),
                before={"active": not active},
                after={"active": active},
            )

    retried(work)


def move(kind: Kind[Offer], *, code: str, places: int, by: Doer) -> None:
    """It stands further to the front or to the back, and that is on record. Raises OfferNotFound."""

    def work(session: Session) -> None:
        before = [one.code for one in offers.list_all(session, kind.model)]
        if offers.move_offer(session, kind.model, code=code, places=places):
            after = [one.code for one in offers.list_all(session, kind.model)]
            audit.record(
                session,
                by=by,
                act=f"{kind.word}.move",
                subject=kind.subject(code),
                before={"order": before},
                after={"order": after},
            )

    retried(work)


def meanwhile(session: Session, kind: Kind[Offer], *, offer: Offer, version: int) -> Meanwhile:
    """What changed since `version`, from the audit log: its first line since then knows what was there before."""
    lines = session.scalars(
        select(AuditLine)
        .where(
            AuditLine.subject == kind.subject(offer.code),
            AuditLine.act == f"{kind.word}.change",
            AuditLine.after["version"].as_integer() > version,
        )
        .order_by(AuditLine.id)
    ).all()
    before = lines[0].before if lines else {}
    pairs = figure_words.beside(before, kind.figures(offer))
    changed = [pair for pair in pairs if pair.changed and pair.name != "version"]
    return Meanwhile(who=list(dict.fromkeys(line.who for line in lines)), pairs=changed, version=offer.version)


def submission() -> UUID:
    """Of the form that was sent; a new one where that is no page of ours."""
    try:
        return UUID(request.form.get("submission", ""))
    except ValueError:
        return uuid4()


def prices_of(offer: Any) -> list[dict[str, Any]]:
    """Its prices as a figure of the audit log."""
    return [{"minor": price.price_minor, "currency": price.currency} for price in offer.prices]


def _is_first(session: Session, wanted: Wanted, *, act: str, subject: str) -> bool:
    """Whether this submission has not been saved yet; whoever sends it at the same time waits here."""
    lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:it, 7130552))")
    session.execute(lock, {"it": str(wanted.submission)})
    line = session.scalars(select(AuditLine).where(AuditLine.submission == wanted.submission)).one_or_none()
    if line is not None and (line.act, line.subject, line.user_id) != (act, subject, wanted.by.user_id):
        raise Refused(approvals.BEGIN_ANEW)
    return line is None


def _record(
    session: Session,
    kind: Kind[Offer],
    offer: Offer,
    *,
    by: Doer,
    act: str,
    before: Figures,
    submission: UUID,
) -> None:
    audit.record(
        session,
        by=by,
        act=act,
        subject=kind.subject(offer.code),
        before=before,
        after=kind.figures(offer),
        submission=submission,
    )
