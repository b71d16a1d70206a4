"""The fingerprint of a grant's terms is the same whether Python or PostgreSQL makes it."""

from datetime import UTC
from typing import Any

import psycopg
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import TestServers
from webapp.ledger.fingerprints import canonical_features, fingerprint_of_grant

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
MOMENTS = st.datetimes(timezones=st.just(UTC)).flatmap(
    lambda moment: st.sampled_from([moment, moment.replace(microsecond=0)])
)
MANY = 50
TERMS = st.fixed_dictionaries(
    {
        "source": TEXTS,
        "amount": st.integers(1, 10**15),
        "expires_at": st.none() | MOMENTS,
        "priority": st.integers(-(2**31), 2**31 - 1),
        "effective_at": st.none() | MOMENTS,
        "features": st.none() | st.lists(TEXTS, max_size=4).map(canonical_features),
        "cost_minor": st.integers(0, 2**63 - 1),
        "cost_currency": st.none() | TEXTS,
        "source_key": st.none() | TEXTS,
        "description": TEXTS,
    }
)
_OF = (
    "SELECT ledger.fingerprint_of_grant(%(source)s, %(amount)s, %(expires_at)s::timestamptz, %(priority)s,"
    " %(effective_at)s::timestamptz, %(features)s::text[], %(cost_minor)s, %(cost_currency)s, %(source_key)s,"
    " %(description)s)"
)


@given(many=st.lists(TERMS, min_size=1, max_size=MANY))
def test_terms_have_the_same_fingerprint_in_sql_as_in_python(servers: TestServers, many: list[dict[str, Any]]) -> None:
    with psycopg.connect(servers.database_url, autocommit=True, options="-c TimeZone=Asia/Kolkata") as connection:
        for terms in many:
            row = connection.execute(_OF, terms).fetchone()
            assert row == (fingerprint_of_grant(**terms),)
