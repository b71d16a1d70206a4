"""`flask stripe …`: whether it is set up right, and what to do when an event was lost or parked."""

from collections import Counter

import click
from flask import current_app
from flask.cli import AppGroup

from webapp import clock
from webapp.billing.events import EventNotFound, replay_event
from webapp.billing.reconcile import reconcile
from webapp.billing.stripe_api import PaymentsUnavailable
from webapp.billing.stripe_check import check_stripe
from webapp.commands.duration import DURATION, Duration
from webapp.database import unit_of_work

stripe_group = AppGroup("stripe", help="Stripe: look whether it is set up right, make good what went wrong.")


@stripe_group.command("replay")
@click.argument("event")
def replay(event: str) -> None:
    """Handle EVENT (evt_…) again, parked or not; fetch it from Stripe if it never came."""
    try:
        with unit_of_work() as session:
            handled = replay_event(session, event_id=event)
            click.echo(f"{handled.id} ({handled.type}): {handled.state}" + _because(handled.reason))
            parked = handled.state == "parked"
    except EventNotFound:
        raise click.ClickException(f"Neither we nor Stripe know an event {event}.") from None
    except PaymentsUnavailable as error:
        raise click.ClickException(f"Stripe did not answer ({error}); nothing was changed.") from None
    raise SystemExit(1 if parked else 0)


@stripe_group.command("reconcile")
@click.option("--since", type=DURATION, default="24h", show_default=True, help="How far back: 90s 15m 24h 31d.")
def reconcile_command(since: Duration) -> None:
    """Fetch lost events, and compare what was paid since then with what was granted.

    What differs is repaired where the rule is clear. Exits 1 when something needs a person.
    """
    outcomes: Counter[str] = Counter()
    try:
        for line in reconcile(since=clock.now() - since, closely=True):
            outcomes[line.outcome] += 1
            if line.outcome != "fine":
                click.echo(f"{line.outcome:9} {line.what}")
    except PaymentsUnavailable as error:
        raise click.ClickException(f"Stripe did not answer ({error}); what was settled before stays settled.") from None
    click.echo(
        f"Compared with Stripe: {outcomes['fine']} fine, {outcomes['repaired']} repaired,"
        f" {outcomes['parked']} for a person to look at."
    )
    raise SystemExit(1 if outcomes["parked"] else 0)


@stripe_group.command("check")
def check_command() -> None:
    """Look whether the key, its permissions and the webhook endpoint are right. Nothing is changed.

    Exits 1 when something is wrong.
    """
    wrong = 0
    try:
        with unit_of_work() as session:
            for found in check_stripe(session, settings=current_app.config["SETTINGS"]):
                wrong += found.verdict == "wrong"
                click.echo(f"{found.verdict:5}  {found.what}")
    except PaymentsUnavailable as error:
        raise click.ClickException(f"Stripe did not answer: {error}") from None
    click.echo("All is right." if not wrong else f"{wrong} to mend.")
    raise SystemExit(1 if wrong else 0)


def _because(reason: str | None) -> str:
    return f": {reason}" if reason else ""
