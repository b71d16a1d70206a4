"""Features of a test's own, at its own terms and with its own ceilings, beside the shipped ones."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg

from webapp.catalog.pricing_terms import read_pricing

MakeFeature = Callable[..., str]


@contextmanager
def features_of_a_test(connection: psycopg.Connection) -> Iterator[MakeFeature]:
    """Makes features priced by `terms`; `ceilings` are such as {"free": "5/day"}. All are unpriced at the end."""
    made: list[str] = []

    def make(terms: dict[str, Any], *, ceilings: dict[str, str] | None = None) -> str:
        key = f"x-{uuid4().hex[:10]}"
        assert not isinstance(read_pricing(terms, where="x"), list)
        connection.execute(
            "INSERT INTO features (key, name, description, unit, position) VALUES (%s, 'Test', '', 'x', 99)", [key]
        )
        connection.execute(
            "INSERT INTO rates (version, feature, terms) SELECT max(version), %s, %s::jsonb FROM rate_cards",
            [key, json.dumps(terms)],
        )
        made.append(key)
        for plan, ceiling in (ceilings or {}).items():
            quantity, per = ceiling.split("/")
            limit(plan, key, int(quantity), per)
        return key

    def limit(plan: str, key: str, quantity: int, per: str) -> None:
        connection.execute(
            "INSERT INTO plan_limits (plan, feature, per, quantity, actor, set_at)"
            " VALUES (%s, %s, %s, %s, 'test', now())",
            [plan, key, per, quantity],
        )

    yield make
    connection.execute("DELETE FROM plan_limits WHERE feature = ANY (%s)", [made])
    connection.execute("DELETE FROM rates WHERE feature = ANY (%s)", [made])
