"""Ada, who subscribes to Pro: half a year of work, renewals, a package that she bought, and presents."""

import random
from datetime import datetime, timedelta
from functools import partial

from webapp import ledger
from webapp.catalog.validity import add_months
from webapp.seed.past import Act, Past

EMAIL = "ada@example.com"
NAME = "Ada Lovelace"

MONTHS = 5  # of Pro that have begun
RENEWS_IN = timedelta(days=12)
BOUGHT = timedelta(days=31, hours=2)

WORKS = {
    "chat-message": ["Lease of the mill", "Letter to R. FitzNeal", "Terms of delivery, German", "Annual report"],
    "image": ["Cover of the hazel report", "Five sketches of a notch", "Header for the newsletter"],
    "api-call": ["Nightly import", "Price update"],
    "export": ["Third quarter, all figures", "List of the accounts"],
}
QUANTITIES = {"chat-message": (3, 28), "image": (1, 4), "api-call": (10, 45), "export": (1, 2)}


def N_(text: str) -> str:
    """Marks a text for translators that is stored in English and translated when it is shown."""
    return text


PRESENTS = (
    (timedelta(days=28, hours=12), "promotion", 60, N_("Spring promotion"), timedelta(days=2)),
    (timedelta(days=20, hours=12), "promotion", 520, N_("Referral reward"), timedelta(days=90)),
    (timedelta(days=5, hours=12), "admin", 300, N_("With thanks for your patience"), None),
)


def signed_up_at(now: datetime) -> datetime:
    """Three days before she subscribed."""
    return _subscribed_at(now) - timedelta(days=3)


def deeds(now: datetime) -> list[tuple[datetime, Act]]:
    """All that she did until `now` and that befell her, each with its time."""
    began = _subscribed_at(now)
    found: list[tuple[datetime, Act]] = [
        (signed_up_at(now), Past.start_free),
        (began, partial(Past.get_on, code="pro")),
        (now - BOUGHT, partial(Past.buy, code="standard")),
    ]
    # a minute later, as when the event of the payment has come
    found += [(add_months(began, number) + timedelta(minutes=1), Past.renew) for number in range(1, MONTHS)]
    for ago, source, amount, name, lasts in PRESENTS:
        found.append((now - ago, partial(Past.give, source=source, amount=amount, description=name, lasts=lasts)))
    return found + _work(now)


def _subscribed_at(now: datetime) -> datetime:
    return add_months(now.replace(microsecond=0) + RENEWS_IN, -MONTHS)


def _work(now: datetime) -> list[tuple[datetime, Act]]:
    """Most days something, the same every time; a big job, for which she had to buy; and the last minutes."""
    chance = random.Random(1180)  # noqa: S311 - a demo
    found: list[tuple[datetime, Act]] = []
    for days_ago in range((now - signed_up_at(now)).days - 1, -1, -1):
        for minutes in sorted(chance.randrange(5, 600) for _ in range(chance.choice([0, 1, 1, 2, 3]))):
            feature = chance.choice(["chat-message", "chat-message", "image", "api-call", "export"])
            work = chance.choice(WORKS[feature])
            moment = now - timedelta(days=days_ago, minutes=minutes)
            found.append((moment, _spend(feature, chance.randint(*QUANTITIES[feature]), work, len(found))))
    found.append((now - BOUGHT - timedelta(minutes=20), _spend("api-call", 350, "Catalogue of the archive", "big")))
    found.append((now - BOUGHT + timedelta(minutes=9), _spend("api-call", 120, "Catalogue of the archive", "rest")))
    return [*found, (now - timedelta(minutes=3), _voice_memo)]


def _spend(feature: str, quantity: int, description: str, key: object) -> Act:
    def act(past: Past) -> None:
        past.spend(feature=feature, quantity=quantity, description=description, key=str(key))

    return act


def _voice_memo(past: Past) -> None:
    """Work that failed, and was given back."""
    entry = past.spend(feature="chat-message", quantity=24, description="Voice memo 7", key="memo")
    if entry is not None:
        ledger.refund_spend(
            past.session,
            account_id=past.user.account_id,
            seq=entry.seq,
            actor="support",
            reason=N_("The work failed, so nothing is charged"),
            idempotency_key="demo:memo:refund",
        )
