"""`flask account …`: who may buy and spend."""

import getpass

import click
from flask.cli import AppGroup
from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp import ledger, outbox
from webapp.database import unit_of_work
from webapp.people.suspension import LONGEST_REASON
from webapp.people.suspension import resume as resume_account
from webapp.people.suspension import suspend as suspend_account
from webapp.people.user import User
from webapp.usage.retrying import retry_resumed

account_group = AppGroup("account", help="Accounts, with or without a person.")


@account_group.command("suspend")
@click.argument("account")
@click.option("--reason", required=True, help="Why; the API tells it to programs with a key, no page shows it.")
def suspend(account: str, reason: str) -> None:
    """ACCOUNT (an external id or a person's email address) buys and spends nothing until it is resumed.

    What it has stays its own: credits still arrive and expire, work that they are held for can be charged, and
    charges can be refunded. Queued usage waits.
    """
    reason = reason.strip()
    if not 0 < len(reason) <= LONGEST_REASON:
        raise click.ClickException(f"The reason must have 1 to {LONGEST_REASON} characters.")
    with unit_of_work() as session:
        account_id, name = _find(session, account)
        suspend_account(session, account_id=account_id, reason=reason, actor=_actor())
    click.echo(f"{name} is suspended: {reason}")


@account_group.command("resume")
@click.argument("account")
def resume(account: str) -> None:
    """ACCOUNT buys and spends again, and is charged for the usage that has waited."""
    waited = 0
    with unit_of_work() as session:
        account_id, name = _find(session, account)
        if resume_account(session, account_id=account_id, actor=_actor()):
            waited = retry_resumed(session, account_id=account_id)
        if waited:
            outbox.hint(session, job="charge_usage")
    click.echo(f"{name} is not suspended.")
    if waited:
        click.echo(f"Pending again: {waited:,} events of queued usage.")


def _actor() -> str:
    return f"cli:{getpass.getuser()}"


def _find(session: Session, account: str) -> tuple[int, str]:
    """The account's id, and how to call it."""
    user = session.scalars(select(User).where(User.email_key == account.lower())).one_or_none()
    try:
        account_id = ledger.find_account(session, external_id=account).account_id
    except (ledger.AccountNotFound, ledger.InvalidRequest):
        if user is None:
            raise click.ClickException(f"There is no account or person {account}.") from None
        return user.account_id, user.email
    if user is not None and user.account_id != account_id:
        told = f"{account} is an account, and the address of a person with another one: {user.external_id}."
        raise click.ClickException(told)
    return account_id, account
