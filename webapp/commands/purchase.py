"""`flask purchase …`: give money back."""

import uuid
from functools import partial

import click
from flask.cli import AppGroup
from sqlalchemy.orm import Session

from webapp.billing.purchase import Purchase, find_by_payment_intent, find_by_session
from webapp.billing.refund_quote import RefundQuote, quote_refund
from webapp.billing.refunding import ExceedsPayment, NotRefundable, outbox_key, refund_purchase, send_refund
from webapp.commands.refund_words import in_words, minor, refused, send_now
from webapp.database import unit_of_work

ACTOR = "admin:cli"
_MOST_ID = 2**63 - 1

purchase_group = AppGroup("purchase", help="Purchases: what a refund would do, and refunds.")


@purchase_group.command("quote")
@click.argument("purchase")
@click.option("--amount", help="How much, such as 2.70; without it, the price of what is unspent.")
def quote_command(purchase: str, amount: str | None) -> None:
    """Say what refunding PURCHASE (its number, cs_… or pi_…) would do. Nothing is changed."""
    with unit_of_work() as session:
        click.echo(in_words(_quote(session, _find(session, purchase), amount)))


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
    click.echo(in_words(quote))
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
        raise refused(refusal, quote.currency) from None
    send_now(partial(send_refund, refund_id=refund_id), key=outbox_key(refund_id), refund_id=refund_id)


def _quote(session: Session, purchase: Purchase, amount: str | None, *, whole: bool = False) -> RefundQuote:
    try:
        wanted = None if amount is None else minor(amount, purchase.currency)
        quote = quote_refund(session, purchase=purchase, amount_minor=wanted)
        if whole and wanted is None:
            quote = quote_refund(session, purchase=purchase, amount_minor=quote.left_minor)
    except (NotRefundable, ExceedsPayment) as refusal:
        raise refused(refusal, purchase.currency) from None
    return quote


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
