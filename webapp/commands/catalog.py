"""`flask catalog …`: what the catalog says beside packages, plans and prices."""

import getpass

import click
from flask.cli import AppGroup

from webapp.billing.sign_up_terms import sign_up_terms
from webapp.catalog.sign_up_grant import BadSignUpGrant, change_sign_up_grant, list_sign_up_grants
from webapp.database import unit_of_work
from webapp.people.first_credits import Terms

catalog_group = AppGroup("catalog", help="The catalog: what new people get.")


@catalog_group.group("sign-up")
def sign_up_group() -> None:
    """What who signs up gets, once in a life."""


@sign_up_group.command("show")
def show() -> None:
    """Print what is in force, and every change that led to it, the newest first."""
    with unit_of_work() as session:
        click.echo(f"In force: {_in_words(sign_up_terms(session))}")
        for one in list_sign_up_grants(session):
            terms = Terms(credits=one.credits, days=one.expires_days, confirmed_only=one.confirmed_only)
            click.echo(f"{one.version}  {one.created_at:%Y-%m-%d %H:%M}  {one.actor}  {_in_words(terms)}")


@sign_up_group.command("change")
@click.option("--credits", required=True, type=click.IntRange(min=0), help="How many; 0 gives none.")
@click.option("--days", type=click.IntRange(min=1), help="After how many days they expire; default: never.")
@click.option("--confirmed/--at-once", "confirmed_only", default=False, help="Only when the address is confirmed.")
@click.option("--actor", help="Who says so; default: the user of this machine.")
def change(credits: int, days: int | None, confirmed_only: bool, actor: str | None) -> None:
    """Who signs up from now on gets this. What somebody was promised before stays."""
    try:
        with unit_of_work() as session:
            change_sign_up_grant(
                session,
                credits=credits,
                expires_days=days,
                confirmed_only=confirmed_only,
                actor=actor or f"cli:{getpass.getuser()}",
            )
            told = _in_words(sign_up_terms(session))
    except BadSignUpGrant as error:
        raise click.ClickException(f"Nothing was changed: {error}.") from None
    click.echo(f"In force: {told}")


def _in_words(terms: Terms) -> str:
    if terms.credits == 0:
        return "no credits."
    lasts = f"for {terms.days} days" if terms.days else "for ever"
    when = "when the address is confirmed" if terms.confirmed_only else "at once"
    return f"{terms.credits:,} credits {lasts}, {when}."
