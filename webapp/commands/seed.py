"""`flask seed …`: something to begin with."""

import click
from flask import current_app
from flask.cli import AppGroup

from webapp.catalog.install import install_shipped_catalog
from webapp.database import unit_of_work
from webapp.seed import DEMO_PASSWORD, NotASandbox, seed_demo

seed_group = AppGroup("seed", help="Data to begin with; repeating it changes nothing.")


@seed_group.command("catalog")
def catalog() -> None:
    """Insert the shipped packages, plans, features and rate card that are missing."""
    with unit_of_work() as session:
        install_shipped_catalog(session)
    click.echo("The shipped catalog is there.")


@seed_group.command("demo")
def demo() -> None:
    """Make the demo people with their history, the catalog and the demo key. Sandbox mode only."""
    try:
        made = seed_demo(current_app)
    except NotASandbox as refusal:
        raise click.ClickException(str(refusal)) from None
    click.echo(f"Demo people made: {', '.join(made)}; password {DEMO_PASSWORD}" if made else "The demo is there.")
