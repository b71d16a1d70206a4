"""`flask usage …`: queued usage that could not be charged."""

import click
from flask.cli import AppGroup
from sqlalchemy.orm import Session

from webapp import ledger, outbox
from webapp.database import unit_of_work
from webapp.usage.reading import backlog, parked_usage
from webapp.usage.retrying import give_up, retry_parked

usage_group = AppGroup("usage", help="Queued usage: what waits, and what could not be charged.")

MOST_LINES = 100


@usage_group.command("parked")
def parked_command() -> None:
    """How many events wait, and which accounts have parked ones, the oldest in front."""
    with unit_of_work() as session:
        undone = backlog(session)
        accounts = parked_usage(session, limit=MOST_LINES)
    click.echo(f"{undone.pending:,} pending, {undone.parked:,} parked")
    for one in accounts:
        click.echo(f"{one.external_id}  {one.events:,} events  {one.amount:,} credits  since {one.oldest_at:%Y-%m-%d}")


@usage_group.command("retry")
@click.argument("account")
def retry_command(account: str) -> None:
    """All parked usage of ACCOUNT (its external id) is charged as soon as it can be paid."""
    with unit_of_work() as session:
        events = retry_parked(session, account_ids=[_find(session, account)])
        outbox.hint(session, job="charge_usage")
    click.echo(f"Pending again: {events:,} events of {account}.")


@usage_group.command("reject")
@click.argument("account")
def reject_command(account: str) -> None:
    """All parked usage of ACCOUNT (its external id) is given up: it will never be charged."""
    with unit_of_work() as session:
        events = give_up(session, account_ids=[_find(session, account)])
    click.echo(f"{events:,} events of {account} are rejected.")


def _find(session: Session, external_id: str) -> int:
    try:
        return ledger.find_account(session, external_id=external_id).account_id
    except (ledger.AccountNotFound, ledger.InvalidRequest):
        raise click.ClickException(f"There is no account {external_id}.") from None
