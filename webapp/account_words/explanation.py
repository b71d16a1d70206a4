"""Why an entry is there: its arithmetic, the credits it touched, and its record."""

from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.account_words.dispute_words import disputes_in_full
from webapp.account_words.line_notes import note_of, whole
from webapp.account_words.naming import actor_name, entry_title, feature_name, grant_name, shorten, story_of
from webapp.account_words.plan_words import carried_over_to, carried_over_words
from webapp.account_words.purchase_words import paid_words
from webapp.account_words.stick import Piece, Segment, lay
from webapp.i18n.formats import credits_number
from webapp.ledger import Entry


@dataclass(frozen=True, kw_only=True)
class CostLine:
    """One line of the arithmetic: `quantity` × `each` (for `unit_size` units) = `credits`; `note` says how."""

    name: str
    quantity: int | None
    each: int | None
    credits: int
    unit_size: int | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Slice:
    """What the entry did to one grant, in credits without sign; a debt has no grant."""

    name: str
    credits: int
    tint: int
    grant: ledger.Grant | None


@dataclass(frozen=True, kw_only=True)
class Why:
    """Everything that a page shows of one entry."""

    entry: Entry
    title: str
    question: str
    total: int
    lines: list[CostLine]
    slices: list[Slice]
    parts: list[Segment]
    halves: list[Segment]
    about: Entry | None
    hold: ledger.Hold | None
    actor: str
    story: str
    paid: str
    next_entry: Entry | None
    carried_over: str
    disputes: list[str]
    rate_card_version: int | None
    purchase_number: str | None


def explain(session: Session, *, account_id: int, seq: int, own_actor: str) -> Why:
    """Why the account has that entry; `own_actor` is how the ledger names the reader.

    A bounded number of statements. Raises EntryNotFound, and InvalidRequest for a number that no entry can have.
    """
    entry = ledger.entry(session, account_id=account_id, seq=seq)
    draws = ledger.draws(session, account_id=account_id, seq=seq)
    about = ledger.entry(session, account_id=account_id, seq=entry.about_seq) if entry.about_seq else None
    next_entry = _carried_over(session, entry, draws)
    number = entry.hold_number
    hold = ledger.get_hold(session, account_id=account_id, number=number) if number else None
    lines = _lines(session, entry)
    slices = _slices(entry, draws)
    total = sum(part.credits for part in slices)
    return Why(
        entry=entry,
        title=entry_title(session, entry),
        question=_question(entry),
        total=total,
        lines=lines,
        slices=slices,
        parts=lay(
            [Piece(amount=one.credits, label=shorten(_line_label(one), 40), tint=4) for one in lines if one.credits]
        ),
        halves=lay([Piece(amount=s.credits, label=shorten(s.name, 40), tint=s.tint) for s in slices]),
        about=about,
        next_entry=next_entry,
        hold=hold,
        actor=actor_name(entry.actor, own=own_actor),
        story=story_of(entry),
        paid=paid_words(session, entry),
        carried_over=carried_over_words(next_entry.amount) if next_entry is not None else "",
        disputes=disputes_in_full(session, entry),
        rate_card_version=_version(entry.pricing),
        purchase_number=_purchase_number(entry, draws),
    )


def _carried_over(session: Session, entry: Entry, draws: list[ledger.Draw]) -> Entry | None:
    """Where what expired went on, when a plan's rollover took it."""
    if entry.kind != "expire" or not draws:
        return None
    return carried_over_to(session, account_id=entry.account_id, grant_id=draws[0].grant.grant_id)


def _purchase_number(entry: Entry, draws: list[ledger.Draw]) -> str | None:
    """What the purchase is called when somebody asks about it; None for what was not bought."""
    keys = [draw.grant.source_key or "" for draw in draws if draw.grant.source == "purchase"]
    named = [key.removeprefix("purchase:") for key in keys if key.startswith("purchase:")]
    return named[0] if named and entry.kind in ("purchase", "revoke", "restore") else None


def _question(entry: Entry) -> str:
    number = abs(entry.amount)
    words = {"number": credits_number(number)}
    if entry.kind == "spend" and number == 0:
        return _("Why did this cost nothing?")
    if entry.kind == "spend":
        return ngettext(
            "Why was I charged %(number)s credit?", "Why was I charged %(number)s credits?", number, **words
        )
    if entry.kind in ("grant", "purchase"):
        return ngettext(
            "Where does %(number)s credit come from?", "Where do %(number)s credits come from?", number, **words
        )
    if entry.kind == "refund":
        return ngettext("Why was %(number)s credit returned?", "Why were %(number)s credits returned?", number, **words)
    if entry.kind == "expire":
        return ngettext("Why did %(number)s credit expire?", "Why did %(number)s credits expire?", number, **words)
    if entry.kind == "revoke":
        return ngettext(
            "Why was %(number)s credit taken back?", "Why were %(number)s credits taken back?", number, **words
        )
    return ngettext("Why did %(number)s credit come back?", "Why did %(number)s credits come back?", number, **words)


def _lines(session: Session, entry: Entry) -> list[CostLine]:
    """The arithmetic as it was kept with the entry; one line without arithmetic where there is none that adds up."""
    total = abs(entry.amount)
    kept = (entry.pricing or {}).get("lines")
    lines = [line for line in map(_whole_line, kept) if line] if isinstance(kept, list) else []
    name = entry_title(session, entry)
    if not lines or sum(line["credits"] for line in lines) != total:
        return [CostLine(name=name, quantity=entry.quantity, each=None, credits=total)]
    return [
        CostLine(
            name=feature_name(session, line["feature"]) if line.get("feature") else name,
            quantity=whole(line, "quantity"),
            each=whole(line, "credits_per_unit"),
            credits=line["credits"],
            unit_size=whole(line, "unit_size"),
            note=note_of(line),
        )
        for line in lines
    ]


def _whole_line(line: Any) -> dict[str, Any] | None:
    return line if isinstance(line, dict) and type(line.get("credits")) is int and line["credits"] >= 0 else None


def _line_label(line: CostLine) -> str:
    if line.quantity and line.each and not line.unit_size:
        return f"{credits_number(line.quantity)} × {credits_number(line.each)}"
    return line.name


def _slices(entry: Entry, draws: list[ledger.Draw]) -> list[Slice]:
    """What each grant gave or got in the end, and the change of debt that makes up the difference to the amount."""
    grants = {d.grant.grant_id: d.grant for d in draws}
    touched = {one: sum(d.amount for d in draws if d.grant.grant_id == one) for one in grants}
    slices = [
        Slice(name=grant_name(grants[one]), credits=abs(amount), tint=min(place + 1, 4), grant=grants[one])
        for place, (one, amount) in enumerate((one, amount) for one, amount in touched.items() if amount)
    ]
    owed = abs(sum(d.amount for d in draws) - entry.amount)
    if owed:
        slices.append(Slice(name=_("Owed"), credits=owed, tint=0, grant=None))
    return slices


def _version(pricing: dict[str, Any] | None) -> int | None:
    version = (pricing or {}).get("rate_card_version")
    return version if type(version) is int else None
