"""An account that has been through everything the ledger can do, for whoever wants to find a lie about it."""

from datetime import timedelta

from sqlalchemy import Engine

from tests.ledger.asking import HOUR, T0
from tests.ledger.database_account import DatabaseAccount

# Its entries …
BOUGHT, GIVEN, FOR_IMAGES, CAPTURE, SPEND, REFUND, FROZEN_SPEND, EXPIRE, REVOKE, REPAYING, ROLLOVER, LATE = range(1, 13)
# … and its holds.
CAPTURED, OPEN, VOIDED, LAPSED, NEWEST = range(1, 6)
END = T0 + 4 * HOUR


def live(engine: Engine) -> DatabaseAccount:
    """Its books: 100 bought and 157 given, 58 spent, 22 expired, 48 revoked and owed, then repaid."""
    account = DatabaseAccount(engine, now=T0)
    account.grant(now=T0, amount=100, source="purchase", cost_minor=900, expires_at=T0 + HOUR)
    account.grant(now=T0, amount=50)
    account.grant(now=T0, amount=30, features=["image"])
    account.place_hold(now=T0, amount=20, feature="image")
    account.capture(now=T0, number=CAPTURED, amount=15)
    account.place_hold(now=T0, amount=30, expires_in=timedelta(hours=24))
    account.place_hold(now=T0, amount=5)
    account.void(now=T0, number=VOIDED)
    account.spend(now=T0, amount=40, feature="image", idempotency_key="k")
    account.refund(now=T0, spend_seq=SPEND, amount=10)
    account.freeze(now=T0, grant_id=GIVEN, reference="dispute")
    account.freeze(now=T0, grant_id=GIVEN, reference="fraud")
    account.unfreeze(now=T0, grant_id=GIVEN, reference="fraud")
    account.spend(now=T0, amount=3)
    account.expire_due(now=T0 + HOUR)
    account.revoke(now=T0 + HOUR, grant_id=BOUGHT, target=50)
    account.grant(now=T0 + 2 * HOUR, amount=60)
    account.place_hold(now=T0 + 2 * HOUR, amount=10, expires_in=HOUR)
    account.roll_over(now=END, grant_id=BOUGHT, cap=10, source_key="rollover:1")
    account.grant(now=END, amount=7, occurred_at=T0 + 3 * HOUR)
    account.place_hold(now=END, amount=5, expires_in=HOUR)
    return account
