"""GET and POST /credits/playground: spend on sample features in sandbox mode, with the cost shown first."""

import secrets
from dataclasses import dataclass
from functools import partial

from flask import abort, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required
from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.account_words.naming import feature_names
from webapp.billing.limit_words import limit_words
from webapp.billing.plan_of_account import plan_of, plans_of
from webapp.catalog.counted import is_open
from webapp.catalog.metering import LimitReached, Use, lock_and_count
from webapp.catalog.rate_book import DimensionsRefused, QuantityOutOfBounds, Quote, UnknownFeature, quote
from webapp.catalog.rate_card import RatedFeature, list_features
from webapp.credits.cost import Cost, cost_before
from webapp.credits.live import Live, show_balance
from webapp.database import unit_of_work
from webapp.ledger import Entry
from webapp.people.suspension import not_suspended
from webapp.reading import reader

_MOST_DIGITS = 16


@dataclass(frozen=True, kw_only=True)
class Playground:
    """Everything that the page shows; `quantity` as it was written."""

    features: list[RatedFeature]
    names: dict[str, str]
    feature: str
    quantity: str
    offer: Cost | None
    errors: dict[str, str]
    live: Live
    spent: Entry | None
    key: str


@login_required
def show_playground() -> ResponseReturnValue:
    """The page, with the cost of what the URL chose; changes nothing. 404 outside sandbox mode."""
    return _page(form=request.args.to_dict(), key=secrets.token_urlsafe(16), spent=request.args.get("spent"))


@login_required
def spend_on_feature() -> ResponseReturnValue:
    """The credits are spent, once however often this very form is sent; then 303 to the page that says so.

    422 with the reason when the choice means nothing or the credits don't suffice, 403 for a suspended account, 429
    beyond what the plan allows; nothing was written then.
    """
    _only_in_sandbox()
    form = request.form.to_dict()
    key = form.get("key", secrets.token_urlsafe(16))  # a program that sends no key means each request anew
    if not (key.isascii() and key.isprintable() and 8 <= len(key) <= 100):
        abort(400)
    quantity, errors = _quantity(form.get("quantity", "1"))
    if errors:
        return _page(form=form, key=secrets.token_urlsafe(16)), 422
    try:
        with unit_of_work() as session:
            written = _spend(session, feature=form.get("feature", ""), quantity=quantity, key=key)
    except (UnknownFeature, DimensionsRefused, QuantityOutOfBounds, ledger.InsufficientCredits):
        return _page(form=form, key=secrets.token_urlsafe(16)), 422
    except LimitReached as reached:
        return _page(form=form, key=secrets.token_urlsafe(16), refused=limit_words(reached)), 429
    except ledger.IdempotencyKeyReused:
        changed = _("This form was already used for something else. Send it once more.")
        return _page(form=form, key=secrets.token_urlsafe(16), refused=changed), 422
    except ledger.ConditionFailed:
        suspended = _("Your account is suspended. Nothing was spent.")
        return _page(form=form, key=secrets.token_urlsafe(16), refused=suspended), 403
    entry = written.entry
    target = url_for("credits.playground", feature=entry.feature, quantity=entry.quantity, spent=entry.seq)
    return redirect(target, 303)


def _spend(session: Session, *, feature: str, quantity: int, key: str) -> ledger.Written:
    cost = _cost(session, feature=feature, quantity=quantity)
    pricing, name = cost.pricing, f"playground:{key}"
    if is_open(pricing):
        use = Use(account_id=current_user.account_id, pricing=pricing)
        meter = lock_and_count(session, uses=[use], account_ids=[use.account_id], plans_of=plans_of)
        if not _is_spent(session, name):  # what this form has done before is answered again
            pricing = meter.price(use)
    return ledger.spend(
        session,
        account_id=current_user.account_id,
        amount=pricing["credits"],
        idempotency_key=name,
        actor=current_user.actor,
        feature=cost.feature,
        quantity=cost.quantity,
        pricing=pricing,
        request=["playground", feature, quantity],
        only_if=not_suspended(current_user.account_id),
    )


_SPENT = text("SELECT FROM ledger.entries_v WHERE account_id = :account_id AND idempotency_key = :key")


def _is_spent(session: Session, name: str) -> bool:
    return session.execute(_SPENT, {"account_id": current_user.account_id, "key": name}).first() is not None


def _cost(session: Session, *, feature: str, quantity: int) -> Quote:
    account_id: int = current_user.account_id
    plan = partial(plan_of, session, account_id=account_id)
    return quote(session, feature=feature, quantity=quantity, plan=plan)


def _page(*, form: dict[str, str], key: str, spent: str | None = None, refused: str | None = None) -> str:
    _only_in_sandbox()
    session = reader()
    playground = _read(session, form=form, key=key, spent=spent)
    if refused:
        playground.errors["feature"] = refused
    part = request.headers.get("HX-Target") == "playground"
    template = "credits/_playground.html" if part else "credits/playground.html"
    return render_template(template, p=playground, live=playground.live)


def _read(session: Session, *, form: dict[str, str], key: str, spent: str | None) -> Playground:
    account_id = current_user.account_id
    features = [one for one in list_features(session) if not one.pricing.rates]  # nothing to measure here
    live = show_balance(session, account_id=account_id)
    feature = form.get("feature") or (features[0].key if features else "")
    raw = form.get("quantity", "1").strip()[:40]
    quantity, errors = _quantity(raw)
    offer = None
    if not errors:
        offer, errors = _offer(session, feature=feature, quantity=quantity)
    return Playground(
        features=features,
        names=feature_names(session),
        feature=feature,
        quantity=raw,
        offer=offer,
        errors=errors,
        live=live,
        spent=_own_entry(session, account_id, spent),
        key=key,
    )


def _offer(session: Session, *, feature: str, quantity: int) -> tuple[Cost | None, dict[str, str]]:
    try:
        return cost_before(session, account_id=current_user.account_id, feature=feature, quantity=quantity), {}
    except (UnknownFeature, DimensionsRefused):
        return None, {"feature": _("There is no such feature.")}
    except QuantityOutOfBounds:
        return None, {"quantity": _("That is more than anybody could pay.")}


def _quantity(raw: str) -> tuple[int, dict[str, str]]:
    raw = raw.strip()
    if not (raw.isascii() and raw.isdecimal() and len(raw) <= _MOST_DIGITS and int(raw) > 0):
        return 0, {"quantity": _("The quantity must be a whole number from 1.")}
    return int(raw), {}


def _own_entry(session: Session, account_id: int, seq: str | None) -> Entry | None:
    """The entry that the redirect after a spend names, when it is the reader's."""
    if not (seq and seq.isascii() and seq.isdecimal() and len(seq) < 19):
        return None
    try:
        return ledger.entry(session, account_id=account_id, seq=int(seq))
    except ledger.EntryNotFound:
        return None


def _only_in_sandbox() -> None:
    if not current_app.config["SANDBOX"]:
        abort(404)
