"""`flask plan …`: give money back that a plan was paid with."""

import uuid
from functools import partial

import click
from flask.cli import AppGroup
from sqlalchemy.orm import Session

from webapp.billing.plan_refunding import (
    plan_payment_named,
    plan_refund_key,
    quote_plan_refund,
    refund_plan,
    send_plan_refund,
)
from webapp.billing.refund_quote import RefundQuote
from webapp.billing.refunding import ExceedsPayment, NotRefundable
from webapp.commands.refund_words import in_words, minor, refused, send_now
from webapp.database import unit_of_work

ACTOR = "admin:cli"

plan_group = AppGroup("plan", help="Plans: how much of a feature one allows, and refunds of what was paid for one.")


@plan_group.command("quote")
@click.argument("payment")
@click.option("--amount", help="How much, such as 2.70; without it, the price of what is unspent and to come.")
def quote_command(payment: str, amount: str | None) -> None:
    """Say what refunding PAYMENT would do. Nothing is changed.

    PAYMENT is an invoice (in_…), a payment (pi_…), a checkout (cs_…) or the number of an order for life.
    """
    with unit_of_work() as session:
        click.echo(in_words(_quote(session, _find(session, payment), amount)))


@plan_group.command("refund")
@click.argument("payment")
@click.option("--amount", help="How much, such as 2.70; without it, all that is left of the payment.")
@click.option("--reason", required=True, help="Why; kept with the refund.")
@click.option("--yes", is_flag=True, help="Don't ask.")
def refund_command(payment: str, amount: str | None, reason: str, yes: bool) -> None:
    """Give money of PAYMENT back, after showing what that does to the credits.

    PAYMENT is an invoice (in_…), a payment (pi_…), a checkout (cs_…) or the number of an order for life. The plan
    goes on: it ends only when its subscription is cancelled.
    """
    if not reason.strip():
        raise click.BadParameter("say why", param_hint="--reason")
    with unit_of_work() as session:
        payment_intent_id = _find(session, payment)
        quote = _quote(session, payment_intent_id, amount, whole=True)
    click.echo(in_words(quote))
    if not yes:
        click.confirm("Refund it?", abort=True)
    try:
        with unit_of_work() as session:
            refund_id = refund_plan(
                session,
                payment_intent_id=payment_intent_id,
                amount_minor=quote.amount_minor,
                reason=reason.strip(),
                actor=ACTOR,
                intent=f"cli:{uuid.uuid4()}",  # one run of this command is one intent
            ).id
    except (NotRefundable, ExceedsPayment) as refusal:
        raise refused(refusal, quote.currency) from None
    send_now(partial(send_plan_refund, refund_id=refund_id), key=plan_refund_key(refund_id), refund_id=refund_id)


def _find(session: Session, name: str) -> str:
    found = plan_payment_named(session, name=name)
    if found is None:
        raise click.ClickException(f"No plan was paid with {name}. A subscription is paid by its invoices: in_….")
    return found


def _quote(session: Session, payment_intent_id: str, amount: str | None, *, whole: bool = False) -> RefundQuote:
    try:
        quote = quote_plan_refund(session, payment_intent_id=payment_intent_id)
        wanted = quote.left_minor if whole else None
        if amount is not None:
            wanted = minor(amount, quote.currency)
        if wanted is not None:
            quote = quote_plan_refund(session, payment_intent_id=payment_intent_id, amount_minor=wanted)
    except NotRefundable as refusal:
        raise refused(refusal, "") from None
    except ExceedsPayment as refusal:
        raise refused(refusal, quote.currency) from None
    return quote
