"""`flask account …`: who may buy."""

import click
from flask.cli import AppGroup
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from webapp import clock
from webapp.database import unit_of_work
from webapp.people.user import User

account_group = AppGroup("account", help="People's accounts.")


@account_group.command("suspend")
@click.argument("person")
@click.option("--reason", required=True, help="Why; for other operators, not shown to the person.")
def suspend(person: str, reason: str) -> None:
    """PERSON (an email address or external id) can buy nothing until resumed. What they have stays theirs."""
    with unit_of_work() as session:
        user = _find(session, person)
        user.suspended_at = user.suspended_at or clock.now()
        user.suspended_reason = reason
        name = user.email
    click.echo(f"{name} is suspended: {reason}")


@account_group.command("resume")
@click.argument("person")
def resume(person: str) -> None:
    """PERSON can buy again."""
    with unit_of_work() as session:
        user = _find(session, person)
        user.suspended_at = user.suspended_reason = None
        name = user.email
    click.echo(f"{name} is not suspended.")


def _find(session: Session, person: str) -> User:
    found = session.scalars(
        select(User).where(or_(User.email_key == person.lower(), User.external_id == person)).with_for_update()
    ).one_or_none()
    if found is None:
        raise click.ClickException(f"Nobody has the address or external id {person}.")
    return found
