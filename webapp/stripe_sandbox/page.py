"""Lists with Stripe's cursors: newest first, `starting_after` older, `ending_before` newer.

https://docs.stripe.com/api/pagination
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from psycopg.types.json import Jsonb

from webapp.stripe_sandbox.errors import exclusive_params, no_such
from webapp.stripe_sandbox.store import Store, Stored

DEFAULT_LIMIT = 10

SELECT_PAGE = """
    SELECT seq, id, type, data, private, due_at FROM stripe_sandbox.objects
    WHERE type = %(type)s AND data @> %(match)s
      AND (%(any_of)s::jsonb[] IS NULL OR data @> ANY (%(any_of)s::jsonb[]))
      AND (%(unlike)s::jsonb IS NULL OR NOT data @> %(unlike)s)
      AND (%(older_than)s::bigint IS NULL OR seq < %(older_than)s)
      AND (%(newer_than)s::bigint IS NULL OR seq > %(newer_than)s)
      AND (%(gte)s::timestamptz IS NULL OR created >= %(gte)s)
      AND (%(before)s::timestamptz IS NULL OR created < %(before)s)
"""
NEWEST_FIRST = SELECT_PAGE + "    ORDER BY seq DESC LIMIT %(limit)s"
OLDEST_FIRST = SELECT_PAGE + "    ORDER BY seq LIMIT %(limit)s"


def list_page(
    store: Store,
    *,
    type: str,
    url: str,
    params: Mapping[str, Any],
    match: Mapping[str, Any] | None = None,
    any_of: list[dict[str, Any]] | None = None,
    unlike: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A list object with the objects that contain `match` and at least one of `any_of`, and not `unlike`.

    Raises StripeError for a cursor that is no such object, or for both cursors at once.
    """
    limit = params.get("limit", DEFAULT_LIMIT)
    older, newer = _cursors(params, seq_of=lambda id, param: _seq_of(store, type=type, id=id, param=param))
    gte, before = _bounds(params.get("created", {}))
    rows = store.connection.execute(
        NEWEST_FIRST if newer is None else OLDEST_FIRST,
        {
            "type": type,
            "match": Jsonb(dict(match or {})),
            "any_of": None if any_of is None else [Jsonb(one) for one in any_of],
            "unlike": None if unlike is None else Jsonb(dict(unlike)),
            "older_than": older,
            "newer_than": newer,
            "gte": gte,
            "before": before,
            "limit": limit + 1,
        },
    ).fetchall()
    found = [Stored(*row) for row in rows]
    kept = found[:limit] if newer is None else found[:limit][::-1]
    return list_object([stored.data for stored in kept], url=url, has_more=len(found) > limit)


def page_of(items: list[dict[str, Any]], *, url: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """A page of a list that is already in memory and in the order in which it is shown."""
    places = {item["id"]: place for place, item in enumerate(items)}

    def place_of(id: str, param: str) -> int:
        if id not in places:
            raise no_such("item", id, param=param, status=400)
        return places[id]

    limit = params.get("limit", DEFAULT_LIMIT)
    after, before = _cursors(params, seq_of=place_of)
    if before is not None:
        kept = items[max(0, before - limit) : before]
        return list_object(kept, url=url, has_more=before > limit)
    start = 0 if after is None else after + 1
    return list_object(items[start : start + limit], url=url, has_more=len(items) > start + limit)


def list_object(data: list[dict[str, Any]], *, url: str, has_more: bool = False) -> dict[str, Any]:
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def _cursors(params: Mapping[str, Any], *, seq_of: Callable[[str, str], int]) -> tuple[int | None, int | None]:
    after, before = params.get("starting_after"), params.get("ending_before")
    if after is not None and before is not None:
        raise exclusive_params("starting_after", "ending_before")
    return (
        None if after is None else seq_of(after, "starting_after"),
        None if before is None else seq_of(before, "ending_before"),
    )


def _seq_of(store: Store, *, type: str, id: str, param: str) -> int:
    stored = store.find(type, id)
    if stored is None:
        raise no_such(type, id, param=param, status=400)
    return stored.seq


def _bounds(created: Mapping[str, int]) -> tuple[datetime | None, datetime | None]:
    """Whole seconds as half-open bounds."""
    lower = [created[key] + add for key, add in (("gte", 0), ("gt", 1)) if key in created]
    upper = [created[key] + add for key, add in (("lt", 0), ("lte", 1)) if key in created]
    return (
        datetime.fromtimestamp(max(lower), UTC) if lower else None,
        datetime.fromtimestamp(min(upper), UTC) if upper else None,
    )
