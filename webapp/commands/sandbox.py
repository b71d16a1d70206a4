"""`flask sandbox …`: moving time, where there is no real money."""

import click
from flask import current_app
from flask.cli import AppGroup

from webapp import clock, ledger
from webapp.commands.duration import DURATION, Duration
from webapp.config import Settings
from webapp.database import unit_of_work
from webapp.extensions import db

sandbox_group = AppGroup("sandbox", help="Sandbox mode only.")


@sandbox_group.command("advance")
@click.argument("duration", type=DURATION)
def advance(duration: Duration) -> None:
    """Move the clock forward by DURATION (90s 15m 2h 31d): the ledger's, Python's and Stripe's double's.

    What expired meanwhile is booked and what plans give by the calendar is granted before it returns, as the jobs
    would have done on the way. What Stripe's double renews comes by its events a moment later.
    """
    from jobs.expire_due import expire_chunk
    from jobs.grant_due import grant_due

    settings: Settings = current_app.config["SETTINGS"]
    if not settings.sandbox:
        raise click.ClickException("Time can be moved in sandbox mode only, and STRIPE_SECRET_KEY is set.")
    try:
        with unit_of_work() as session:
            moment = ledger.advance_clock(session, by=duration)
    except ledger.LedgerRefusal as refusal:
        raise click.ClickException(str(refusal)) from None
    while expire_chunk():
        pass
    clock.follow(db.session(), movable=True, at_once=True)
    grant_due()
    click.echo(f"It is now {moment:%Y-%m-%d %H:%M:%S} UTC.")
