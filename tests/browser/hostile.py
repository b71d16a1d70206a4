"""Somebody whose every word is meant to break a page, in a shop whose operator writes no better."""

from datetime import timedelta
from itertools import cycle
from typing import Any

import psycopg
from flask import Flask

from tests.credits.member import Member
from webapp import clock, ledger

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'><b>bold</b>{{ 7 * 7 }} %(number)s %s"
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2
EMOJI = "👩‍👩‍👧‍👦🏴󠁧󠁢󠁥󠁮󠁧󠁿🇩🇪" * 20
TURNS = "\u202eabc\u2066 \u2067مرحبا 12 €\u200f left open"
STACKED = "Z̸̡̢͍̳͂̒͘a̷͎͈̾̊l̴̝̒g̵̨͐o̶̱͘" * 12
SPACES = "\u00a0\u2003\u3000"
WORDS = (MARKUP, LONG, EMOJI, TURNS, STACKED, SPACES, "")

# 15 digits: more than any money, less than a script loses digits of.
MOST = 999_999_999_999_999

_NAMES = """
UPDATE packages SET name = %(long)s, description = %(markup)s, credits = %(most)s WHERE code = 'starter';
UPDATE packages SET name = %(markup)s, description = %(turns)s WHERE code = 'standard';
UPDATE package_prices SET price_minor = %(price)s WHERE package = 'starter';
UPDATE plans SET name = %(long)s, description = %(markup)s, credits_per_month = %(most)s WHERE code = 'pro';
UPDATE plans SET name = %(markup)s, description = %(emoji)s WHERE code = 'lifetime';
UPDATE plan_prices SET price_minor = %(price)s WHERE plan = 'pro';
UPDATE features SET name = %(markup)s, unit = %(long)s WHERE key = 'image';
UPDATE features SET name = %(long)s, unit = %(markup)s WHERE key = 'export';
UPDATE features SET name = %(turns)s, unit = '' WHERE key = 'chat-message';
INSERT INTO unlocks (key, name, description, features, credits, duration_days, position, active)
    VALUES ('hostile', %(long)s, %(markup)s, '{a}', %(most)s, 1, 1, true),
           ('turned', %(turns)s, %(emoji)s, '{b}', 1, null, 2, true);
"""
# The form would refuse the signs; what was written before it did is still there.
_PERSON = "UPDATE users SET name = %s WHERE email = %s"


class Hostile(Member):
    """A member with a past of such words."""

    newest_entry = 0


def make_hostile(app: Flask, owner_url: str) -> Hostile:
    """The catalog has hostile names, and the member returned has entries of every kind with them."""
    given = {"markup": MARKUP, "long": LONG, "emoji": EMOJI, "turns": TURNS, "most": MOST, "price": 99_999_999}
    member = Hostile(app)
    with psycopg.connect(owner_url, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute(_NAMES, given)
        connection.execute(_PERSON, [LONG[:100], member.email])
    _live(member)
    return member


def _live(member: Hostile) -> None:
    words = cycle(WORDS)
    for number in range(2 * len(WORDS)):
        ends = clock.now() + timedelta(days=1 + number) if number % 2 else None
        metadata: dict[str, Any] = {next(words) or "empty": next(words), "deep": {"<b>": [None, MARKUP]}}
        member.grant(
            MOST // 20 + number, next(words), expires_at=ends, reference=_short(next(words)), metadata=metadata
        )
    for feature in ("image", "export", "chat-message", MARKUP[:60], None):
        member.spend(
            MOST // 30,
            feature=feature,
            quantity=MOST if feature else None,
            description=next(words),
            reference=_short(next(words)),
            metadata={LONG: next(words), "": ""},
        )
    spent = member.spend(7, feature="image", quantity=1, description=MARKUP, metadata={MARKUP: MARKUP})
    member.write(ledger.refund_spend, seq=spent.seq, actor="support", reason=MARKUP, idempotency_key="back", amount=3)
    member.write(
        ledger.place_hold, amount=MOST // 40, idempotency_key="hold", actor="api", feature="image", description=LONG
    )
    member.newest_entry = spent.seq


def _short(words: str) -> str | None:
    return words[:100] or None
