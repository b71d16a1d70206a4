"""What the commands that give money back share: amounts as people write them, a quote in words, asking Stripe."""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation

import click
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from webapp import outbox
from webapp.billing.refund import Refund
from webapp.billing.refund_quote import RefundQuote
from webapp.billing.refunding import ExceedsPayment, NotRefundable
from webapp.billing.stripe_api import PaymentsUnavailable
from webapp.database import sqlstate, unit_of_work
from webapp.minor_units import decimals_of, written

LOCK_NOT_AVAILABLE = "55P03"


def send_now(send: Callable[[Session], Refund], *, key: str, refund_id: int) -> None:
    """The refund whose outbox row is `key` is asked of Stripe now, and what became of it is said."""
    try:
        with unit_of_work() as session:
            outbox.finish(session, key=key)  # locked first, as the worker does that is also at it
            refund = send(session)
            state, failure, stripe_id = refund.state, refund.failure, refund.stripe_refund_id
            returned = money(refund.amount_minor, refund.currency)
    except PaymentsUnavailable as error:
        raise click.ClickException(
            f"Stripe did not answer ({error}). Refund {refund_id} is written down, and a worker goes on trying."
        ) from None
    except OperationalError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
        raise click.ClickException(f"Refund {refund_id} is written down, and a worker is making it.") from None
    if state == "refused":
        raise click.ClickException(f"Stripe refused refund {refund_id}: {failure}")
    click.echo(f"Refund {refund_id} ({stripe_id}) of {returned}: {state}.")


def refused(refusal: NotRefundable | ExceedsPayment, currency: str) -> click.ClickException:
    """The refusal for who typed the command."""
    if isinstance(refusal, ExceedsPayment):
        return click.ClickException(f"At most {money(refusal.left_minor, currency)} can be given back.")
    if refusal.state == "disputed":
        return click.ClickException("The payment is disputed: the bank has the money until that is decided.")
    return click.ClickException(f"It is {refusal.state}; there is no payment to give back.")


def minor(amount: str, currency: str) -> int:
    """`2.70` in minor units. Raises click.BadParameter for what the currency has no coins for."""
    try:
        units = Decimal(amount).scaleb(decimals_of(currency))
        whole = int(units)
    except (InvalidOperation, ValueError, OverflowError):
        raise click.BadParameter(f"{amount!r} is no amount; write for example 2.70.", param_hint="--amount") from None
    if whole != units or not 0 < whole < 10**15:
        raise click.BadParameter(f"{amount!r} is no amount in {currency}.", param_hint="--amount")
    return whole


def money(minor: int, currency: str) -> str:
    """Minor units, written in English."""
    return written(minor, currency, "en")


def in_words(quote: RefundQuote) -> str:
    """What the refund of the quote would do."""
    unspent = money(quote.unspent_minor, quote.currency)
    lines = [
        f"Unspent: {quote.unspent_credits:,} credits, worth {unspent} of {money(quote.left_minor, quote.currency)}"
        " that can be given back.",
        f"A refund of {money(quote.amount_minor, quote.currency)} takes {quote.taken:,} credits"
        f" and makes {quote.debt:,} of debt;",
        f"the balance goes from {quote.balance_before:,} to {quote.balance_after:,}.",
    ]
    if quote.gone:
        lines.append(f"{quote.gone:,} more have expired, or are on hold and follow when that ends.")
    return "\n".join(lines)
