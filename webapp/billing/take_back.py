"""Credits follow the money: as much of a grant is revoked as of its payment went back, and disputes freeze it."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from webapp import ledger


@dataclass(frozen=True, kw_only=True)
class PaidGrant:
    """A grant and the whole payment that it came from; money in minor units: what was paid, taxes included.

    `name` is what was bought, in English as the catalog has it. Where one payment made several grants (a year paid
    at once), each has the whole price here and loses its own share.
    """

    account_id: int
    grant_id: int
    credits: int
    price_minor: int
    currency: str
    name: str
    reference: str


@dataclass(frozen=True, kw_only=True)
class Gone:
    """The money of one payment that went back in total: refunded, and lost to disputes beyond that."""

    refunded_minor: int
    lost_minor: int

    @property
    def total_minor(self) -> int:
        return self.refunded_minor + self.lost_minor


def revoke_target(*, credits: int, price_minor: int, refunded_minor: int) -> int:
    """The credits to revoke in total when so much of the price went back in total: rounded half up, once.

    Of what cost nothing nothing can go back.
    """
    if price_minor == 0:
        return 0
    return (2 * credits * refunded_minor + price_minor) // (2 * price_minor)


def take_back(
    session: Session, *, paid: PaidGrant, before: Gone, now: Gone, target: int | None = None
) -> ledger.Entry | None:
    """As much of the grant is revoked in total as `now` says, whatever was `before`, which only words the reason.

    `target` names the credits where they are not simply the share of the money.

    Safe to repeat. Locks the account. Returns the entry, None when no credits had to move.
    """
    if target is None:
        target = revoke_target(credits=paid.credits, price_minor=paid.price_minor, refunded_minor=now.total_minor)
    change = now.total_minor - before.total_minor
    cause = cause_of(before, now)
    return ledger.revoke(
        session,
        account_id=paid.account_id,
        grant_id=paid.grant_id,
        target=target,
        actor="stripe",
        reason=_in_english(cause, paid, abs(change)),
        reference=paid.reference,
        metadata={
            "cause": cause,
            "bought": paid.name,
            "change_minor": abs(change),
            "price_minor": paid.price_minor,
            "currency": paid.currency,
        },
    )


def cause_of(before: Gone, now: Gone) -> str:
    """Why credits move: refund, refund_failed, dispute_lost or dispute_won; the bank's word goes first."""
    if now.lost_minor != before.lost_minor and now.total_minor != before.total_minor:
        return "dispute_lost" if now.lost_minor > before.lost_minor else "dispute_won"
    return "refund" if now.total_minor >= before.total_minor else "refund_failed"


def percent_of(part_minor: int, whole_minor: int) -> int:
    """How many hundredths of the whole the part is, at least 1: rounded half up."""
    return max((200 * part_minor + whole_minor) // (2 * whole_minor), 1)


def _in_english(cause: str, paid: PaidGrant, change_minor: int) -> str:
    """The entry's own description, for whoever reads the ledger; pages say it in the reader's language."""
    share = "" if change_minor == paid.price_minor else f"{percent_of(change_minor, paid.price_minor)} % of "
    return {
        "refund": f"Refund of {share}{paid.name}",
        "refund_failed": f"Refund of {share}{paid.name} did not arrive",
        "dispute_lost": f"The bank returned the payment for {share}{paid.name}",
        "dispute_won": f"The bank let the payment for {share}{paid.name} stand",
    }[cause]
