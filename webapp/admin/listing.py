"""Lists of the admin pages: columns, filters, an order, pages by cursor, and all of it as CSV. One form for each.

A list never counts and never skips: a page is found by the last row of the one before (its sort value and its id), so
each `sort` needs an index that ends with the id.
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias
from urllib.parse import urlencode

from flask import Response, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Row, Select, literal, tuple_
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from webapp.database import unit_of_work
from webapp.layout.csv_file import csv_line, stream

Rows: TypeAlias = Select[*tuple[Any, ...]]
# The sort value and the id of the row that a page begins after.
Place: TypeAlias = tuple[Any, int | str]

PAGE = 50
CHUNK = 1_000


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: what stands in it. `kind` chooses the macro of `admin/_list.html`:

    text, credits, money (a (minor, currency) pair), moment, code, flag, or link (an (href, text) pair).
    """

    key: str
    label: object
    show: Callable[[Any], Any]
    kind: str = "text"
    csv: Callable[[Any], str | int | None] | None = None


@dataclass(frozen=True, kw_only=True)
class Filter:
    """One field of the filter bar. With `options` [(value, label)] it is a choice, else a text."""

    key: str
    label: object
    options: Callable[[], Sequence[tuple[str, object]]] | None = None
    placeholder: object = ""


@dataclass(frozen=True, kw_only=True)
class Sort:
    """An order that may be asked for: by `by` and then by the id, newest or greatest first unless `ascending`.

    `within` adds to the statement what only this order needs, such as a join; `id` is then the list's id as the table
    joined has it, so that both stand in one index.
    """

    key: str
    label: object
    by: Any
    ascending: bool = False
    within: Callable[[Rows], Rows] | None = None
    id: Any = None


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A list as data. `select(filters)` gives the statement without order; its rows have the columns' values and `id`.

    `id` is the column, a number or a text, that tells two rows of the same sort value apart. `selection` gets the
    filters' values as stripped texts and leaves out what it does not understand.
    """

    key: str
    title: object
    path: str
    id: Any
    selection: Callable[[Mapping[str, str]], Rows]
    columns: Sequence[Column]
    sorts: Sequence[Sort]
    filters: Sequence[Filter] = ()
    empty: object = ""
    lead: object = ""


@dataclass(frozen=True, kw_only=True)
class ListPage:
    """One page of it, and what the reader chose."""

    listing: Listing
    rows: Sequence[Row[Any]]
    values: Mapping[str, str]
    sort: Sort
    next: str | None
    is_first: bool
    options: Mapping[str, Sequence[tuple[str, object]]] = field(default_factory=dict)

    def href(self, **changes: str | None) -> str:
        """This list with other choices; a page by cursor only where one is given."""
        chosen = {**self.values, "sort": self.sort.key, **changes}
        return f"{self.listing.path}?{_query(chosen, default_sort=self.listing.sorts[0].key)}".rstrip("?")

    @property
    def csv_href(self) -> str:
        chosen = {**self.values, "sort": self.sort.key}
        return f"{self.listing.path}.csv?{_query(chosen, default_sort=self.listing.sorts[0].key)}".rstrip("?")


def _query(chosen: Mapping[str, str | None], *, default_sort: str) -> str:
    return urlencode([(k, v) for k, v in chosen.items() if v and not (k == "sort" and v == default_sort)])


def list_page(listing: Listing, *, template: str = "admin/list.html", **more: Any) -> ResponseReturnValue:
    """The page that the request asks for; htmx gets the list alone. Choices that mean nothing are left out."""
    with unit_of_work() as session:
        page = read_page(session, listing, request.args)
        answer = render_template(template, page=page, listing=listing, **more)
    return answer


def read_page(session: Session, listing: Listing, args: MultiDict[str, str]) -> ListPage:
    """One statement: a page's rows and one more, to know whether there is a next."""
    values, sort = _choices(listing, args)
    after = _read_cursor(args.get("after", ""), listing, sort)
    rows = session.execute(_ordered(listing, values, sort, after).limit(PAGE + 1)).all()
    shown = rows[:PAGE]
    return ListPage(
        listing=listing,
        rows=shown,
        values=values,
        sort=sort,
        next=_cursor(shown[-1], sort) if len(rows) > PAGE else None,
        is_first=after is None,
        options={one.key: list(one.options()) for one in listing.filters if one.options is not None},
    )


def list_csv(listing: Listing) -> Response:
    """All that the filters leave, streamed: a chunk at a time, each in a short database transaction of its own."""
    values, sort = _choices(listing, request.args)
    return stream(_csv_lines(listing, values, sort), mimetype="text/csv", name=f"{listing.key}.csv")


def _csv_lines(listing: Listing, values: Mapping[str, str], sort: Sort) -> Iterator[str]:
    yield csv_line(str(column.label) for column in listing.columns)
    after: Place | None = None
    while True:
        with unit_of_work() as session:
            rows = session.execute(_ordered(listing, values, sort, after).limit(CHUNK)).all()
        for row in rows:
            yield csv_line(_cell(column, row) for column in listing.columns)
        if len(rows) < CHUNK:
            return
        after = (rows[-1]._mapping["sort_value"], rows[-1]._mapping["sort_id"])


def _cell(column: Column, row: Row[Any]) -> str | int | None:
    if column.csv is not None:
        return column.csv(row)
    value = column.show(row)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, bool):
        return "1" if value else "0"
    if column.kind == "link" and isinstance(value, tuple):
        return str(value[1])
    if column.kind == "money" and isinstance(value, tuple):
        return f"{value[0]} {value[1]}"
    return value if isinstance(value, int) or value is None else str(value)


def _choices(listing: Listing, args: MultiDict[str, str]) -> tuple[dict[str, str], Sort]:
    values = {
        one.key: args.get(one.key, "").replace("\0", "").strip()[:200]
        for one in listing.filters
        if args.get(one.key, "").strip()
    }
    wanted = args.get("sort", "")
    return values, next((sort for sort in listing.sorts if sort.key == wanted), listing.sorts[0])


def _ordered(listing: Listing, values: Mapping[str, str], sort: Sort, after: Place | None) -> Rows:
    statement = listing.selection(values)
    if sort.within is not None:
        statement = sort.within(statement)
    id = listing.id if sort.id is None else sort.id
    statement = statement.add_columns(sort.by.label("sort_value"), id.label("sort_id"))
    if after is not None:
        place, here = tuple_(literal(after[0]), literal(after[1])), tuple_(sort.by, id)
        statement = statement.where(here > place if sort.ascending else here < place)
    if sort.ascending:
        return statement.order_by(sort.by.asc(), id.asc())
    return statement.order_by(sort.by.desc(), id.desc())


def _cursor(row: Row[Any], sort: Sort) -> str:
    value = row._mapping["sort_value"]
    told = {"at": value.isoformat()} if isinstance(value, datetime) else value
    plain = json.dumps([sort.key, told, row._mapping["sort_id"]], ensure_ascii=False)
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def _read_cursor(raw: str, listing: Listing, sort: Sort) -> Place | None:
    """Where the page begins; None for the first page, and for what is no cursor of this order."""
    if not raw or len(raw) > 2_000:
        return None
    try:
        key, value, row_id = json.loads(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)))
        if isinstance(value, dict):
            value = datetime.fromisoformat(value["at"])
        right = key == sort.key and _may_be(value, sort.by) and _may_be(row_id, listing.id)
    except (ValueError, TypeError, KeyError, NotImplementedError, RecursionError):
        return None
    return (value, row_id) if right else None


def _may_be(value: Any, column: Any) -> bool:
    """Whether the column could hold it."""
    if not isinstance(value, column.type.python_type) or isinstance(value, bool):
        return False
    if isinstance(value, str):
        return "\0" not in value and value == value.encode("utf-8", "replace").decode()
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return not isinstance(value, datetime) or value.tzinfo is not None
