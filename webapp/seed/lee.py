"""Lee, who paid once for good: some months of credits, of which a part is used and the rest expires."""

import random
from datetime import datetime, timedelta
from functools import partial

from webapp.catalog.validity import add_months
from webapp.seed.past import Act, Past

EMAIL = "lifetime@example.com"
NAME = "Lee Lifetime"

MONTHS = 4  # that have begun
NEXT_IN = timedelta(days=20)

WORKS = {"chat-message": "Songs for the ferry", "image": "Postcards", "export": "List of the songs"}


def signed_up_at(now: datetime) -> datetime:
    """Some minutes before the payment."""
    return _paid_at(now) - timedelta(minutes=6)


def deeds(now: datetime) -> list[tuple[datetime, Act]]:
    """All that happened until `now`, each with its time."""
    began = _paid_at(now)
    found: list[tuple[datetime, Act]] = [(began, partial(Past.get_on, code="lifetime"))]
    found += [(add_months(began, number) + timedelta(minutes=1), Past.renew) for number in range(1, MONTHS)]
    chance = random.Random(1066)  # noqa: S311 - a demo
    for days_ago in range((now - began).days - 1, 0, -3):
        feature = chance.choice(list(WORKS))
        quantity = {"chat-message": chance.randint(8, 40), "image": chance.randint(1, 4), "export": 1}[feature]
        spend = partial(Past.spend, feature=feature, quantity=quantity, description=WORKS[feature], key=str(days_ago))
        found.append((now - timedelta(days=days_ago, minutes=chance.randrange(900)), spend))
    return found


def _paid_at(now: datetime) -> datetime:
    return add_months(now.replace(microsecond=0) + NEXT_IN, -MONTHS)
