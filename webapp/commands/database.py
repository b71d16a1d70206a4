"""`flask db …` and `flask db-url`."""

import click
from flask import current_app
from flask.cli import AppGroup, with_appcontext
from sqlalchemy import select

from webapp import database
from webapp.catalog.install import install_shipped_catalog
from webapp.catalog.package import Package
from webapp.config import Settings

db_group = AppGroup("db", help="The database: bring it to this version.")


def owner_url(settings: Settings) -> str:
    """The URL that migrations use."""
    url = settings.database_owner_url or settings.database_url
    assert url is not None
    return url


@db_group.command("upgrade")
def upgrade() -> None:
    """Run the missing migrations, and re-install the ledger's functions and views when they have changed.

    An empty shop gets the shipped catalog.
    """
    settings: Settings = current_app.config["SETTINGS"]
    database.upgrade(owner_url=owner_url(settings), database_url=settings.database_url, sandbox=settings.sandbox)
    with database.unit_of_work() as session:
        if session.scalars(select(Package.code).limit(1)).first() is None:
            install_shipped_catalog(session)
    click.echo("The database is up to date.")


@click.command("db-url")
@click.option("--owner", is_flag=True, help="The owner's URL instead of the application's.")
@with_appcontext
def db_url(owner: bool) -> None:
    """Print the connection URL of the database in use, embedded or not."""
    settings: Settings = current_app.config["SETTINGS"]
    click.echo(owner_url(settings) if owner else settings.database_url)
