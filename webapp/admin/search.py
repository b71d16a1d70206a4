"""/admin/search: one box for whatever one has at hand; what is named exactly, and is alone, is opened at once."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.admin.act_words import act_words
from webapp.admin.approvals import Approval
from webapp.admin.audit import AuditLine
from webapp.admin.subjects import page_of
from webapp.billing.by_stripe_id import MOST, Named, named_by
from webapp.billing.events_about import events_about
from webapp.billing.purchase import Purchase
from webapp.database import unit_of_work
from webapp.ledger import AccountNotFound, EntryNotFound
from webapp.people.finding import people_by_beginning, person_by_email
from webapp.people.roles import require_role
from webapp.people.user import User

pages = Blueprint("admin_search", __name__)

MOST_CHARACTERS = 300
MOST_LIKE_IT = 20
_MOST_ID = 2**63 - 1
_ACCOUNTS_LIKE = text(
    "SELECT account_id, external_id FROM ledger.accounts_v WHERE external_id >= :low AND external_id < :high"
    " ORDER BY external_id LIMIT :most"
)
_ENTRY_BY_KEY = text(
    "SELECT seq FROM ledger.entries_v WHERE account_id = :account_id AND idempotency_key = :key LIMIT 1"
)
_PAGES = {
    "account": "/admin/accounts/{}",
    "purchase": "/admin/purchases/{}",
    "subscription": "/admin/subscriptions/{}",
    "payment": "/admin/payments/{}",
    "dispute": "/admin/disputes?of={}",
    "event": "/admin/events/{}",
}
GROUPS = {
    "account": _l("Accounts"),
    "entry": _l("Entries"),
    "purchase": _l("Purchases"),
    "payment": _l("Payments for plans"),
    "order": _l("Orders of plans"),
    "subscription": _l("Subscriptions"),
    "dispute": _l("Disputes"),
    "event": _l("Stripe events"),
    "audit": _l("Audit log"),
    "approval": _l("Approvals"),
}


@dataclass(frozen=True, kw_only=True)
class Found:
    """One thing; `href` is empty where there is no page about it that the person may open."""

    group: str
    href: str
    text: str
    note: str = ""


@pages.get("/admin/search")
@require_role("finance", "support")
def search() -> ResponseReturnValue:
    """What the text in `q` names, in groups; 303 to its page where it is one thing."""
    sought = "".join(one if one.isprintable() else " " for one in request.args.get("q", ""))[:MOST_CHARACTERS].strip()
    exact: list[Found] = []
    alike: list[Found] = []
    with unit_of_work() as session:
        if sought:
            exact = _once(find_exactly(session, sought))
            alike = [] if exact else _once(find_alike(session, sought))
    found = exact or alike
    named = [one for one in exact if one.group != "event"] or exact
    if len(named) == 1 and named[0].href:
        return redirect(named[0].href, 303)
    groups = [(GROUPS[key], [one for one in found if one.group == key]) for key in GROUPS]
    return render_template(
        "admin/search/search.html", sought=sought, groups=[group for group in groups if group[1]], alike=bool(alike)
    )


def find_exactly(session: Session, sought: str) -> list[Found]:
    """What is named by just this text. A dozen statements at most, each by an index."""
    found: list[Found] = []
    if "@" in sought:
        found += _person(person_by_email(session, email=sought))
    if sought.isascii() and sought.isdigit() and 0 < int(sought) <= _MOST_ID:
        found += _numbered(session, int(sought))
    account_id = _called(session, sought)
    if account_id is not None:
        found.append(_account(account_id, sought))
    if ":" in sought:
        found += _entry(session, sought)
    kind, mark, rest = sought.partition("_")
    if mark and kind.isalpha() and kind.islower() and rest.isascii() and rest.replace("_", "").isalnum():
        found += [_named(one) for one in named_by(session, stripe_id=sought)]
        found += [
            Found(group="event", href=page_of(_PAGES["event"].format(event.id)), text=event.type, note=event.id)
            for event in events_about(session, ids=[sought], limit=MOST)
            if page_of(_PAGES["event"].format(event.id))
        ]
    return found + _submitted(session, sought)


def find_alike(session: Session, sought: str) -> list[Found]:
    """Accounts whose name, or whose person's address, begins so."""
    found = [
        one for person in people_by_beginning(session, beginning=sought, limit=MOST_LIKE_IT) for one in _person(person)
    ]
    if len(sought) >= 3:
        bounds = {"low": sought, "high": sought + "\U0010ffff", "most": MOST_LIKE_IT}
        found += [_account(row.account_id, row.external_id) for row in session.execute(_ACCOUNTS_LIKE, bounds)]
    return found


def _once(found: Iterable[Found]) -> list[Found]:
    return list({(one.group, one.href or one.text): one for one in reversed(list(found))}.values())[::-1]


def _account(account_id: int, name: str, note: str = "") -> Found:
    return Found(group="account", href=page_of(f"/admin/accounts/{account_id}"), text=name, note=note)


def _person(person: User | None) -> list[Found]:
    return [_account(person.account_id, person.email, person.external_id)] if person is not None else []


def _numbered(session: Session, number: int) -> list[Found]:
    found = []
    try:
        account = ledger.get_account(session, account_id=number)
        found.append(_account(number, account.external_id, str(number)))
    except AccountNotFound:
        pass
    purchase = session.get(Purchase, number)
    if purchase is not None:
        href = page_of(_PAGES["purchase"].format(number))
        found.append(Found(group="purchase", href=href, text=purchase.package_name, note=str(number)))
    return found


def _entry(session: Session, sought: str) -> list[Found]:
    """`account:seq`, and `account:key` with the idempotency key of a spend; the account by its name or its number."""
    named, _colon, rest = sought.rpartition(":")
    if rest.isascii() and rest.isdigit() and 0 < int(rest) <= _MOST_ID:
        account_id = _account_id(session, named)
        try:
            if account_id is not None:
                ledger.entry(session, account_id=account_id, seq=int(rest))
                return [_entry_of(account_id, int(rest), sought)]
        except EntryNotFound:
            pass
    named, _colon, key = sought.partition(":")
    account_id = _account_id(session, named)
    if account_id is None:
        return []
    seq = session.scalar(_ENTRY_BY_KEY, {"account_id": account_id, "key": key})
    return [_entry_of(account_id, seq, sought)] if seq is not None else []


def _entry_of(account_id: int, seq: int, sought: str) -> Found:
    href = page_of(f"/admin/accounts/{account_id}/entries/{seq}")
    return Found(group="entry", href=href, text=sought, note=str(seq))


def _called(session: Session, external_id: str) -> int | None:
    try:
        return ledger.find_account(session, external_id=external_id).account_id
    except AccountNotFound:
        return None


def _account_id(session: Session, named: str) -> int | None:
    account_id = _called(session, named)
    if account_id is not None:
        return account_id
    return int(named) if named.isascii() and named.isdigit() and 0 < int(named) <= _MOST_ID else None


def _named(one: Named) -> Found:
    path = _PAGES.get(one.kind)
    note = _("Account %(number)s", number=one.account_id) if one.account_id and one.kind != "account" else ""
    href = page_of(path.format(one.key)) if path else ""
    return Found(group=one.kind, href=href, text=one.key, note=note)


def _submitted(session: Session, sought: str) -> list[Found]:
    """What a form of these pages came to, by its number, which is the idempotency key of what it did."""
    try:
        submission = UUID(sought.removeprefix("admin:"))
    except ValueError:
        return []
    found = [
        Found(group="audit", href=page_of(f"/admin/audit-log/{line.id}"), text=act_words(line.act), note=line.who)
        for line in session.scalars(select(AuditLine).where(AuditLine.submission == submission))
    ]
    found += [
        Found(group="approval", href=page_of(f"/admin/approvals/{asked.id}"), text=act_words(asked.act))
        for asked in session.scalars(select(Approval).where(Approval.submission == submission))
    ]
    return [one for one in found if one.href]
