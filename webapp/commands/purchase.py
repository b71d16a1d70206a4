"""`flask purchase …`: give money back."""

import uuid
from decimal import Decimal, InvalidOperation

import click
from flask.cli import AppGroup
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from webapp import outbox
from webapp.billing.purchase import Purchase, find_by_payment_intent, find_by_session
from webapp.billing.refund_quote import RefundQuote, quote_refund
from webapp.billing.refunding import ExceedsPayment, NotRefundable, outbox_key, refund_purchase, send_refund
from webapp.billing.stripe_api import PaymentsUnavailable
from webapp.database import sqlstate, unit_of_work
from webapp.minor_units import decimals_of, written

ACTOR = "admin:cli"
_MOST_ID = 2**63 - 1
LOCK_NOT_AVAILABLE = "55P03"

purchase_group = AppGroup("purchase", help="Purchases: what a refund would do, and refunds.")


@purchase_group.command("quote")
@click.argument("purchase")
@click.option("--amount", help="How much, such as 2.70; without it, the price of what is unspent.")
def quote_command(purchase: str, amount: str | None) -> None:
    """Say what refunding PURCHASE (its number, cs_… or pi_…) would do. Nothing is changed."""
    with unit_of_work() as session:
        click.echo(_in_words(_quote(session, _find(session, purchase), amount)))


@purchase_group.command("refund")
@click.argument("purchase")
@click.option("--amount", help="How much, such as 2.70; without it, all that is left of the payment.")
@click.option("--reason", required=True, help="Why; kept with the refund.")
@click.option("--yes", is_flag=True, help="Don't ask.")
def refund_command(purchase: str, amount: str | None, reason: str, yes: bool) -> None:
    """Give money of PURCHASE (its number, cs_… or pi_…) back, after showing what that does to the credits."""
    if not reason.strip():
        raise click.BadParameter("say why", param_hint="--reason")
    with unit_of_work() as session:
        bought = _find(session, purchase)
        quote = _quote(session, bought, amount, whole=True)
        purchase_id = bought.id
    click.echo(_in_words(quote))
    if not yes:
        click.confirm("Refund it?", abort=True)
    intent = f"cli:{uuid.uuid4()}"  # one run of this command is one intent
    try:
        with unit_of_work() as session:
            refund_id = refund_purchase(
                session,
                purchase_id=purchase_id,
                amount_minor=quote.amount_minor,
                reason=reason.strip(),
                actor=ACTOR,
                intent=intent,
            ).id
    except (NotRefundable, ExceedsPayment) as refusal:
        raise _refused(refusal, quote.currency) from None
    _send(refund_id)


def _send(refund_id: int) -> None:
    try:
        with unit_of_work() as session:
            outbox.finish(session, key=outbox_key(refund_id))  # locked first, as the worker does that is also at it
            refund = send_refund(session, refund_id=refund_id)
            state, failure, stripe_id = refund.state, refund.failure, refund.stripe_refund_id
            money = _money(refund.amount_minor, refund.currency)
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
    click.echo(f"Refund {refund_id} ({stripe_id}) of {money}: {state}.")


def _quote(session: Session, purchase: Purchase, amount: str | None, *, whole: bool = False) -> RefundQuote:
    try:
        wanted = None if amount is None else _minor(amount, purchase.currency)
        quote = quote_refund(session, purchase=purchase, amount_minor=wanted)
        if whole and wanted is None:
            quote = quote_refund(session, purchase=purchase, amount_minor=quote.left_minor)
    except (NotRefundable, ExceedsPayment) as refusal:
        raise _refused(refusal, purchase.currency) from None
    return quote


def _refused(refusal: NotRefundable | ExceedsPayment, currency: str) -> click.ClickException:
    if isinstance(refusal, ExceedsPayment):
        return click.ClickException(f"At most {_money(refusal.left_minor, currency)} can be given back.")
    if refusal.state == "disputed":
        return click.ClickException("The payment is disputed: the bank has the money until that is decided.")
    return click.ClickException(f"The purchase is {refusal.state}; there is no payment to give back.")


def _find(session: Session, name: str) -> Purchase:
    found: Purchase | None
    if name.startswith("cs_"):
        found = find_by_session(session, session_id=name)
    elif name.startswith("pi_"):
        found = find_by_payment_intent(session, payment_intent_id=name)
    elif name.isascii() and name.isdecimal() and int(name) <= _MOST_ID:
        found = session.get(Purchase, int(name))
    else:
        found = None
    if found is None:
        raise click.ClickException(f"There is no purchase {name}.")
    return found


def _minor(amount: str, currency: str) -> int:
    """`2.70` in minor units. Raises click.BadParameter for what the currency has no coins for."""
    try:
        minor = Decimal(amount).scaleb(decimals_of(currency))
        whole = int(minor)
    except (InvalidOperation, ValueError, OverflowError):
        raise click.BadParameter(f"{amount!r} is no amount; write for example 2.70.", param_hint="--amount") from None
    if whole != minor or not 0 < whole < 10**15:
        raise click.BadParameter(f"{amount!r} is no amount in {currency}.", param_hint="--amount")
    return whole


def _money(minor: int, currency: str) -> str:
    return written(minor, currency, "en")


def _in_words(quote: RefundQuote) -> str:
    unspent = _money(quote.unspent_minor, quote.currency)
    lines = [
        f"Unspent: {quote.unspent_credits:,} credits, worth {unspent} of {_money(quote.left_minor, quote.currency)}"
        " that can be given back.",
        f"A refund of {_money(quote.amount_minor, quote.currency)} takes {quote.taken:,} credits"
        f" and makes {quote.debt:,} of debt;",
        f"the balance goes from {quote.balance_before:,} to {quote.balance_after:,}.",
    ]
    if quote.gone:
        lines.append(f"{quote.gone:,} more have expired, or are on hold and follow when that ends.")
    return "\n".join(lines)
