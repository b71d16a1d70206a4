"""The views of packages and plans, written once: the list's buttons and the form that makes one or changes it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic
from uuid import uuid4

from flask import Response, abort, flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from webapp.admin import audit, offers, price_fields
from webapp.admin.acts import Refused
from webapp.admin.audit import Figure, Figures
from webapp.admin.figure_words import NAMES
from webapp.admin.offer_form import OfferForm
from webapp.admin.offers import Kind, Meanwhile, Wanted
from webapp.admin.price_fields import PriceField
from webapp.catalog.offers import ChangedMeanwhile, CodeTaken, Offer, OfferNotFound, list_all
from webapp.database import unit_of_work
from webapp.layout.csv_file import csv_line, stream


@dataclass(frozen=True, kw_only=True)
class Words:
    """What is said about one of them."""

    made: object
    changed: object
    unchanged: object
    on_sale: object
    off_sale: object
    taken: object


@dataclass(frozen=True, kw_only=True)
class Desk(Generic[Offer]):
    """Where packages, or plans, are looked after.

    `filled` is the form with what one promises, or empty; `once` is what is said when one is made and never again;
    `more` is what the page shows besides.
    """

    kind: Kind[Offer]
    path: str
    template: str
    words: Words
    filled: Callable[[Offer | None], OfferForm]
    once: Callable[[Any], Mapping[str, str]] = field(default=lambda _form: {})
    more: Callable[[Offer | None], Mapping[str, Any]] = field(default=lambda _offer: {})

    def csv(self) -> Response:
        """All of them as CSV, in the order of the shop window; a price is its minor units and its currency."""
        with unit_of_work() as session:
            rows = [(one.code, one.active, self.kind.figures(one)) for one in list_all(session, self.kind.model)]
        return stream(_csv_lines(rows), mimetype="text/csv", name=f"{self.kind.word}s.csv")

    def create(self) -> ResponseReturnValue:
        """The form; and one more of them, as it says."""
        form = self.filled(None)
        if request.method == "GET":
            return self._page(form, price_fields.stored_prices(None))
        typed = price_fields.typed_prices()
        if not form.accept(typed):
            return self._page(form, typed)
        code = str(form.code.data)
        try:
            offers.create(self.kind, _wanted(form, typed, code), active=form.active.data, **self.once(form))
        except CodeTaken:
            form.refuse("code", str(self.words.taken))
            return self._page(form, typed)
        except Refused as refusal:
            form.refuse("name", str(refusal.message))
            return self._page(form, typed)
        flash(str(self.words.made))
        return redirect(f"{self.path}/{code}/edit", 303)

    def change(self, code: str) -> ResponseReturnValue:
        """The form of one; and its change, as it says."""
        offer = self._found(code)
        form = self.filled(offer)
        if request.method == "GET":
            return self._page(form, price_fields.stored_prices(offer), offer=offer)
        typed = price_fields.typed_prices()
        if not form.accept(typed):
            return self._page(form, typed, offer=offer)
        try:
            changed = offers.change(self.kind, _wanted(form, typed, code), version=form.seen)
        except OfferNotFound:
            abort(404)
        except ChangedMeanwhile:
            return self._meanwhile(form, typed, code)
        except Refused as refusal:
            form.refuse("name", str(refusal.message))
            return self._page(form, typed, offer=offer)
        flash(str(self.words.changed if changed else self.words.unchanged))
        return redirect(f"{self.path}/{code}/edit", 303)

    def sale(self, code: str) -> ResponseReturnValue:
        """On sale, or no more, as the form says."""
        active = request.form.get("active") == "1"
        try:
            offers.switch(self.kind, code=code, active=active, by=audit.doer())
        except OfferNotFound:
            abort(404)
        flash(str(self.words.on_sale if active else self.words.off_sale))
        return redirect(f"{self.path}#{self.kind.word}-{code}", 303)

    def move(self, code: str) -> ResponseReturnValue:
        """One place to the front or to the back, as the form says."""
        places = -1 if request.form.get("to") == "front" else 1
        try:
            offers.move(self.kind, code=code, places=places, by=audit.doer())
        except OfferNotFound:
            abort(404)
        return redirect(f"{self.path}#{self.kind.word}-{code}", 303)

    def _found(self, code: str) -> Offer:
        return offers.find(self.kind, code=code) or abort(404)

    def _meanwhile(self, form: OfferForm, typed: Sequence[PriceField], code: str) -> ResponseReturnValue:
        """Their own input stands, what others changed is above it, and saving again is for this newer version."""
        offer = self._found(code)
        with unit_of_work() as session:
            told = offers.meanwhile(session, self.kind, offer=offer, version=form.seen)
        return self._page(form, typed, offer=offer, told=told)

    def _page(
        self,
        form: OfferForm,
        prices: Sequence[PriceField],
        *,
        offer: Offer | None = None,
        told: Meanwhile | None = None,
    ) -> ResponseReturnValue:
        page = render_template(
            self.template,
            form=form,
            prices=prices,
            offer=offer,
            untranslated=[] if offer is None else self.kind.untranslated(offer),
            meanwhile=told,
            version=form.seen if told is None else told.version,
            submission=uuid4(),
            **self.more(offer),
        )
        return page, 409 if told else 422 if form.messages else 200


def _wanted(form: OfferForm, typed: Sequence[PriceField], code: str) -> Wanted:
    return Wanted(
        code=code,
        terms=form.terms(),
        prices=price_fields.in_minor_units(typed) if form.is_priced else {},
        submission=offers.submission(),
        by=audit.doer(),
    )


def _csv_lines(rows: Sequence[tuple[str, bool, Figures]]) -> Iterator[str]:
    names = list(rows[0][2]) if rows else []
    yield csv_line([str(_("Code")), str(NAMES["active"]), *(str(NAMES[name]) for name in names)])
    for code, active, figures in rows:
        yield csv_line([code, int(active), *(_cell(figures[name]) for name in names)])


def _cell(figure: Figure) -> str | int | None:
    if isinstance(figure, bool):
        return int(figure)
    if isinstance(figure, list):
        return ", ".join(f"{one['minor']} {one['currency']}" if isinstance(one, dict) else str(one) for one in figure)
    return figure if isinstance(figure, int) or figure is None else str(figure)
