"""`flask sandbox …`: moving time, where there is no real money."""

import sys

import click
from flask.cli import AppGroup

from webapp import ledger
from webapp.commands.duration import DURATION, Duration

sandbox_group = AppGroup("sandbox", help="Sandbox mode only.")


@sandbox_group.command("advance")
@click.argument("duration", type=DURATION)
def advance(duration: Duration) -> None:
    """Move the clock forward by DURATION (90s 15m 2h 31d): the ledger's, Python's and Stripe's double's.

    A day at a time, and after each day whatever has fallen due is done before the next one begins: renewals, grants,
    expirations, mails and all other jobs.
    """
    from jobs.advance_time import NotASandbox, advance_time

    moment = None
    try:
        for moment in advance_time(by=duration):
            if sys.stderr.isatty():
                click.echo(f"\r{moment:%Y-%m-%d}", nl=False, err=True)
    except (ledger.LedgerRefusal, NotASandbox) as refusal:
        raise click.ClickException(str(refusal)) from None
    if moment is not None:
        click.echo(f"It is now {moment:%Y-%m-%d %H:%M:%S} UTC.")
