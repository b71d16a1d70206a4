"""Why credits followed money that went back, in words that the one who paid understands."""

from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _

from webapp.i18n.formats import money, percent
from webapp.ledger import Entry


@dataclass(frozen=True, kw_only=True)
class Reversal:
    """What a revoke or restore says about its money: `part_minor` of `price_minor` moved for this `cause`."""

    cause: str
    bought: str
    part_minor: int
    price_minor: int
    currency: str

    @property
    def whole(self) -> bool:
        return self.part_minor == self.price_minor


def reversal_of(entry: Entry) -> Reversal | None:
    """What the entry's metadata says, where billing wrote it; `bought` is its English name as the catalog has it."""
    if entry.kind not in ("revoke", "restore"):
        return None
    kept: dict[str, Any] = entry.metadata or {}
    found = Reversal(
        cause=str(kept.get("cause")),
        bought=str(kept.get("bought")),
        part_minor=kept.get("change_minor", 0),
        price_minor=kept.get("price_minor", 0),
        currency=str(kept.get("currency")),
    )
    numbers = (found.part_minor, found.price_minor)
    right = all(type(number) is int and number > 0 for number in numbers) and len(found.currency) == 3
    return found if right and found.cause in ("refund", "refund_failed", "dispute_lost", "dispute_won") else None


def in_short(found: Reversal, *, bought: str) -> str:
    """For a line of the history; `bought` is what was paid for, in the reader's language."""
    share = percent(max(round(found.part_minor / found.price_minor, 2), 0.01))
    if found.cause == "refund":
        return (
            _("Refund of “%(bought)s”", bought=bought)
            if found.whole
            else _("Refund of %(share)s of “%(bought)s”", share=share, bought=bought)
        )
    if found.cause == "refund_failed":
        return _("The refund for “%(bought)s” did not arrive", bought=bought)
    if found.cause == "dispute_lost":
        return _("The bank gave the payment for “%(bought)s” back", bought=bought)
    return _("The payment for “%(bought)s” stands after all", bought=bought)


def in_full(found: Reversal, *, bought: str) -> str:
    """The whole story in one or two sentences."""
    part, price = money(found.part_minor, found.currency), money(found.price_minor, found.currency)
    if found.cause == "refund" and found.whole:
        return _(
            "The %(price)s paid for “%(bought)s” were refunded, and its credits with them.", price=price, bought=bought
        )
    if found.cause == "refund":
        return _(
            "%(part)s of the %(price)s paid for “%(bought)s” were refunded, and that share of its credits with them.",
            part=part,
            price=price,
            bought=bought,
        )
    if found.cause == "refund_failed":
        return _(
            "A refund of %(part)s for “%(bought)s” did not arrive and was called off. Its credits are back.",
            part=part,
            bought=bought,
        )
    if found.cause == "dispute_lost":
        return _(
            "The payment for “%(bought)s” was disputed, and the bank gave %(part)s back. That share of the credits went"
            " with them.",
            part=part,
            bought=bought,
        )
    return _(
        "The dispute about “%(bought)s” was decided anew, and %(part)s stay paid. That share of the credits is back.",
        part=part,
        bought=bought,
    )
