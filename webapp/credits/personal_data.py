"""Everything that is kept about one person and their account, as one JSON object, streamed.

Each list is read by key in pages, each page in a short database transaction of its own, so that the longest history
neither fills memory nor holds a snapshot.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select, text, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from webapp import clock, ledger
from webapp.billing.entitlement import Entitlement, EntitlementPeriod
from webapp.billing.plan_order import PlanOrder
from webapp.billing.purchase import Purchase
from webapp.billing.stripe_customer import StripeCustomer
from webapp.billing.subscription import Subscription, SubscriptionInvoice
from webapp.catalog.unlocking import AccountUnlock
from webapp.database import unit_of_work
from webapp.ledger.entries import GRANT_COLUMNS
from webapp.people.portal_session import PortalSession
from webapp.people.sessions import SessionRow
from webapp.people.user import User

CHUNK = 1_000
Row = dict[str, Any]
Page = Callable[[Session, Any], list[tuple[Any, Row]]]

_GRANTS = text(
    f"SELECT {GRANT_COLUMNS} FROM ledger.grants_v WHERE account_id = :account_id AND grant_id > :after"  # noqa: S608
    " ORDER BY grant_id LIMIT :limit"
)
_HOLDS = text(
    "SELECT number, amount, state, captured, feature, placed_at, expires_at FROM ledger.holds_v"
    " WHERE account_id = :account_id AND number > :after ORDER BY number LIMIT :limit"
)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A list of the export: rows of `table` whose `owner` is the person or account, in the order of `key`."""

    name: str
    owner: InstrumentedAttribute[Any]
    key: tuple[InstrumentedAttribute[Any], ...]
    columns: tuple[InstrumentedAttribute[Any], ...]


_U, _V, _P, _O, _S = SessionRow, PortalSession, Purchase, PlanOrder, Subscription
_I, _E, _M, _L = SubscriptionInvoice, Entitlement, EntitlementPeriod, AccountUnlock
SESSIONS = Table(
    name="sessions",
    owner=_U.user_id,
    key=(_U.id,),
    columns=(_U.id, _U.created_at, _U.last_seen_at, _U.expires_at, _U.stay, _U.ip, _U.user_agent),
)
# By which the product led somebody to the account's pages.
PORTAL_SESSIONS = Table(
    name="portal_sessions",
    owner=_V.account_id,
    key=(_V.id,),
    columns=(
        *(_V.id, _V.created_at, _V.opened_at, _V.last_seen_at, _V.expires_at, _V.page, _V.return_url, _V.made_by),
        *(_V.ip, _V.user_agent),
    ),
)
OF_ACCOUNT = (
    Table(
        name="purchases",
        owner=_P.account_id,
        key=(_P.id,),
        columns=(
            *(_P.id, _P.created_at, _P.state, _P.package, _P.shown_name, _P.credits, _P.price_minor, _P.currency),
            *(_P.paid_at, _P.paid_minor, _P.tax_minor, _P.refunded_minor, _P.lost_minor, _P.grant_id, _P.receipt_url),
        ),
    ),
    Table(
        name="plan_orders",
        owner=_O.account_id,
        key=(_O.id,),
        columns=(
            *(_O.id, _O.created_at, _O.state, _O.plan, _O.shown_name, _O.billed, _O.price_minor, _O.currency),
            *(_O.trial_days, _O.paid_at, _O.paid_minor, _O.tax_minor, _O.stripe_subscription_id),
        ),
    ),
    Table(
        name="subscriptions",
        owner=_S.account_id,
        key=(_S.id,),
        columns=(
            *(_S.id, _S.stripe_subscription_id, _S.created_at, _S.plan, _S.status, _S.price_minor, _S.currency),
            *(_S.period_starts_at, _S.period_ends_at, _S.trial_ends_at, _S.cancel_at_period_end, _S.ended_at),
        ),
    ),
    Table(
        name="plans",
        owner=_E.account_id,
        key=(_E.id,),
        columns=(
            *(_E.id, _E.plan, _E.plan_name, _E.kind, _E.trial, _E.credits_per_month, _E.rollover_cap, _E.expiry),
            *(_E.expiry_days, _E.features, _E.starts_at, _E.ends_at, _E.time_zone, _E.subscription_id, _E.order_id),
        ),
    ),
    Table(
        name="unlocks",
        owner=_L.account_id,
        key=(_L.seq,),
        columns=(_L.seq, _L.unlock, _L.features, _L.opened_at, _L.ends_at),
    ),
)
# Found by what they belong to, which has an index; an account has few of those.
OF_SUBSCRIPTION = Table(
    name="invoices",
    owner=_I.subscription_id,
    key=(_I.stripe_invoice_id,),
    columns=(
        *(_I.stripe_invoice_id, _I.subscription_id, _I.created_at, _I.billing_reason, _I.status, _I.total_minor),
        *(_I.paid_minor, _I.currency, _I.paid_at, _I.hosted_url),
    ),
)
OF_PLAN = Table(
    name="plan_periods",
    owner=_M.entitlement_id,
    key=(_M.number,),
    columns=(
        *(_M.entitlement_id, _M.number, _M.starts_at, _M.ends_at, _M.credits, _M.grant_id, _M.rolled_into),
        *(_M.cost_minor, _M.currency, _M.stripe_invoice_id, _M.granted_at),
    ),
)


def personal_data(*, user_id: int, account_id: int, external_id: str) -> Iterator[str]:
    """The pieces of one JSON object. What it holds is described in docs/user.md."""
    yield "{" + _member("made_at", clock.now())
    yield from _one("person", lambda session: _person(session, user_id))
    yield from _one("account", lambda session: _account(session, account_id))
    yield from _list("sessions", _rows(SESSIONS, user_id))
    yield from _list(PORTAL_SESSIONS.name, _rows(PORTAL_SESSIONS, account_id))
    yield from _list("grants", _ledger_rows(_GRANTS, "grant_id", account_id))
    yield from _list("holds", _ledger_rows(_HOLDS, "number", account_id))
    yield from _list("entries", _entries(account_id, external_id))
    for table in OF_ACCOUNT:
        yield from _list(table.name, _rows(table, account_id))
    yield from _list(OF_SUBSCRIPTION.name, _rows_of_each(OF_SUBSCRIPTION, _S.id, _S.account_id == account_id))
    yield from _list(OF_PLAN.name, _rows_of_each(OF_PLAN, _E.id, _E.account_id == account_id))
    yield "\n}\n"


def _person(session: Session, user_id: int) -> Row:
    user = session.get_one(User, user_id)
    names = ("email", "name", "locale", "time_zone", "credit_mails", "created_at", "confirmed_at")
    return {name: getattr(user, name) for name in (*names, "password_changed_at", "external_id", "role")}


def _account(session: Session, account_id: int) -> Row:
    balance = asdict(ledger.balance(session, account_id=account_id))
    customers = select(StripeCustomer.mode, StripeCustomer.stripe_customer_id).where(
        StripeCustomer.account_id == account_id
    )
    account = {**asdict(ledger.get_account(session, account_id=account_id)), "balance": balance}
    account["stripe_customers"] = {row.mode: row.stripe_customer_id for row in session.execute(customers)}
    return {name: value for name, value in account.items() if name != "account_id"}


def _rows(table: Table, owner: Any) -> Iterator[Row]:
    """All rows of that owner, a page at a time."""

    def page(session: Session, after: tuple[Any, ...] | None) -> list[tuple[tuple[Any, ...], Row]]:
        query = select(*table.key, *table.columns).where(table.owner == owner).order_by(*table.key).limit(CHUNK)
        if after is not None:
            query = query.where(tuple_(*table.key) > tuple_(*after))
        width = len(table.key)
        names = [column.key for column in table.columns]
        return [
            (tuple(row[:width]), dict(zip(names, row[width:], strict=True))) for row in session.execute(query).all()
        ]

    yield from _pages(page)


def _rows_of_each(table: Table, ids: InstrumentedAttribute[int], owned: Any) -> Iterator[Row]:
    with unit_of_work() as session:
        owners = session.scalars(select(ids).where(owned).order_by(ids)).all()
    for owner in owners:
        yield from _rows(table, owner)


def _ledger_rows(query: Any, key: str, account_id: int) -> Iterator[Row]:
    def page(session: Session, after: int | None) -> list[tuple[int, Row]]:
        given = {"account_id": account_id, "after": after or 0, "limit": CHUNK}
        rows = session.execute(query, given).mappings().all()
        return [(row[key], {name: row[name] for name in row if name != "account_id"}) for row in rows]

    yield from _pages(page)


def _pages(page: Page) -> Iterator[Row]:
    after = None
    while True:
        with unit_of_work() as session:
            found = page(session, after)
        for after, row in found:  # noqa: B007 - the last one is where the next page begins
            yield row
        if len(found) < CHUNK:
            return


def _entries(account_id: int, external_id: str) -> Iterator[Row]:
    """Newest first, each with what it took from which grant."""
    before: int | None = None
    while True:
        with unit_of_work() as session:
            found = ledger.entries(session, account_id=account_id, before=before, limit=CHUNK)
        for entry in found.entries:
            draws = [
                {"grant": grant, "amount": amount}
                for grant, amount in zip(entry.drawn_grants, entry.drawn_amounts, strict=True)
            ]
            yield {**entry.members(external_id=external_id), "pricing": entry.pricing, "draws": draws}
        if found.next_before is None:
            return
        before = found.next_before


def _one(name: str, read: Callable[[Session], Row]) -> Iterator[str]:
    with unit_of_work() as session:
        found = read(session)
    yield "," + _member(name, found)


def _list(name: str, rows: Iterator[Row]) -> Iterator[str]:
    yield f',\n"{name}": ['
    for place, row in enumerate(rows):
        yield (",\n" if place else "\n") + _as_json(row)
    yield "]"


def _member(name: str, value: Any) -> str:
    return f'\n"{name}": {_as_json(value)}'


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} in an export")
