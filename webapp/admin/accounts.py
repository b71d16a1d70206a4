"""/admin/accounts: all accounts, found by address or name, those that need a look, and all of it as CSV."""

from collections.abc import Mapping
from typing import Any

from flask import Response
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    DateTime,
    Text,
    any_,
    column,
    func,
    literal_column,
    select,
    table,
    text,
    union_all,
)

from webapp.admin.account_ranks import RANKS
from webapp.admin.listing import Column, Filter, Listing, Rows, Sort, list_csv, list_page
from webapp.people.roles import require_role
from webapp.people.suspension import Suspension
from webapp.people.user import User

# So many are found by the beginning of an address, a name and an external id, each: no search adds up without an end.
MOST_FOUND = 1_000

_ACCOUNTS = table(
    "accounts_v",
    column("account_id", BigInteger),
    column("external_id", Text),
    column("kind", Text),
    column("name", Text),
    column("balance", BigInteger),
    column("debt", BigInteger),
    column("created_at", DateTime(timezone=True)),
    schema="ledger",
)
ACCOUNTS = _ACCOUNTS.alias("a")
GRANTS = table("grants_v", column("account_id", BigInteger), column("frozen"), column("open"), schema="ledger")
# Each is looked up for the rows of the page alone, after its LIMIT: joined, PostgreSQL would walk whole tables.
# The first is what is true now: what has expired is in none of it.
NOW: ColumnElement[Any] = literal_column("(SELECT to_jsonb(b) FROM ledger.balance(a.account_id) b)")
_NAMED = _ACCOUNTS.alias("named")
_EXTERNAL_ID = select(_NAMED.c.external_id).where(_NAMED.c.account_id == ACCOUNTS.c.account_id)
_PERSON = select(func.jsonb_build_object("email", User.email, "name", User.name)).where(
    User.account_id == ACCOUNTS.c.account_id
)
_SUSPENDED = select(Suspension.id).where(Suspension.account_id == ACCOUNTS.c.account_id, Suspension.ended_at.is_(None))


def _selection(values: Mapping[str, str]) -> Rows:
    statement: Rows = select(
        ACCOUNTS.c.account_id,
        ACCOUNTS.c.name.label("given_name"),
        ACCOUNTS.c.created_at,
        _EXTERNAL_ID.correlate(ACCOUNTS).scalar_subquery().label("external_id"),
        _PERSON.correlate(ACCOUNTS).scalar_subquery().label("person"),
        NOW.label("now"),
        _SUSPENDED.correlate(ACCOUNTS).exists().label("suspended"),
    ).select_from(ACCOUNTS)
    if "q" in values:
        statement = statement.where(ACCOUNTS.c.account_id == any_(_named(values["q"])))
    if values.get("status") == "debt":
        statement = statement.where(ACCOUNTS.c.debt > 0)
    if values.get("status") == "suspended":
        suspended = select(Suspension.account_id).where(Suspension.ended_at.is_(None))
        statement = statement.where(ACCOUNTS.c.account_id.in_(suspended))
    if values.get("status") == "frozen":
        frozen = select(GRANTS.c.account_id).where(GRANTS.c.frozen, GRANTS.c.open)
        statement = statement.where(ACCOUNTS.c.account_id.in_(frozen))
    return statement


def _named(words: str) -> ColumnElement[Any]:
    """The ids of accounts whose person's address or name, or external id, begins so; an address may end "@acme.com".

    As an array, worked out first: the newest accounts are not walked through until enough of them happen to be found.
    """
    low = words.lower()
    by_email: tuple[Any, str, str] = (User.email_key, "users.email_key", low)
    if low.startswith("@"):
        by_email = (func.reverse(User.email_key), "reverse(users.email_key)", low[::-1])
    of_people = [
        select(User.account_id)
        .where(column_.startswith(beginning, autoescape=True))
        .order_by(text(f"{name} USING ~<~"))  # as the index is ordered
        .limit(MOST_FOUND)
        for column_, name, beginning in (by_email, (func.lower(User.name), "lower(users.name)", low))
    ]
    of_accounts = (
        select(ACCOUNTS.c.account_id)
        .where(ACCOUNTS.c.external_id.startswith(words, autoescape=True))
        .order_by(ACCOUNTS.c.external_id)
        .limit(MOST_FOUND)
    )
    found = union_all(*(one.subquery().select() for one in (*of_people, of_accounts)))
    return func.array(found.scalar_subquery(), type_=ARRAY(BigInteger))


def _ranked(statement: Rows) -> Rows:
    """Those that the job has ranked by now; an account of the last hour may be missing."""
    return statement.join(RANKS, RANKS.c.account_id == ACCOUNTS.c.account_id)


def _name(row: Any) -> str:
    return (row.person or {}).get("name") or row.given_name or ""


def _who(row: Any) -> tuple[str, str]:
    shown = (row.person or {}).get("email") or _name(row) or row.external_id
    return f"/admin/accounts/{row.account_id}", shown


LISTING = Listing(
    key="accounts",
    title=_l("Accounts"),
    path="/admin/accounts",
    lead=_l("A search finds up to 1,000 accounts by address, as many by name, and as many by external id."),
    id=ACCOUNTS.c.account_id,
    selection=_selection,
    columns=(
        Column(key="who", label=_l("Who"), show=_who, kind="link"),
        Column(key="name", label=_l("Name"), show=_name),
        Column(key="external_id", label=_l("External id"), show=lambda row: row.external_id, kind="code"),
        Column(key="balance", label=_l("Balance"), show=lambda row: row.now["balance"], kind="credits"),
        Column(key="available", label=_l("Available"), show=lambda row: row.now["available"], kind="credits"),
        Column(key="debt", label=_l("Debt"), show=lambda row: row.now["debt"], kind="credits"),
        Column(
            key="suspended",
            label=_l("Suspended"),
            show=lambda row: row.suspended or None,
            kind="flag",
            csv=lambda row: int(row.suspended),
        ),
        Column(key="created", label=_l("Created"), show=lambda row: row.created_at, kind="moment"),
    ),
    sorts=(
        Sort(key="newest", label=_l("Newest first"), by=ACCOUNTS.c.account_id),
        Sort(key="oldest", label=_l("Oldest first"), by=ACCOUNTS.c.account_id, ascending=True),
        Sort(
            key="balance",
            label=_l("Greatest balance in the last hour first"),
            by=RANKS.c.balance,
            within=_ranked,
            id=RANKS.c.account_id,
        ),
    ),
    filters=(
        Filter(
            key="q",
            label=_l("Person’s address or name, or external id"),
            placeholder=_l("How it begins, or @example.com"),
        ),
        Filter(
            key="status",
            # NOTE: Which accounts: a choice between all, those in debt, suspended ones and so on.
            label=_l("Which"),
            options=lambda: [
                ("debt", lazy_pgettext("accounts", "in debt")),
                ("suspended", lazy_pgettext("accounts", "suspended")),
                ("frozen", lazy_pgettext("accounts", "with frozen credits")),
            ],
        ),
    ),
)


@require_role("finance", "support")
def accounts() -> ResponseReturnValue:
    """A page of them."""
    return list_page(LISTING)


@require_role("finance", "support")
def accounts_csv() -> Response:
    """The same as CSV."""
    return list_csv(LISTING)
