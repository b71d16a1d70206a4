"""`flask maintenance …`: shutting the door for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from flask import current_app
from flask.cli import AppGroup
from redis.exceptions import RedisError

from webapp import maintenance
from webapp.config import Settings

maintenance_group = AppGroup("maintenance", help="Answer 503 to everybody while something is being done.")


@maintenance_group.command("on")
@click.option("--minutes", type=click.IntRange(1, 10_000), help="How long it should take; callers are told so.")
def on(minutes: int | None) -> None:
    """Pages, API and webhooks answer 503 from now on, within a second, until `flask maintenance off`.

    /healthz, /readyz and /metrics answer as ever. Workers and cron go on: stop them yourself where they must not.
    """
    with _telling():
        found = maintenance.switch_on(minutes=minutes)
    click.echo(_words(found))


@maintenance_group.command("off")
def off() -> None:
    """Everything answers again, within a second."""
    with _telling():
        was_on = maintenance.switch_off()
    click.echo("Maintenance is off." if was_on else "Maintenance was off already.")
    _tell_of_the_environment()


@maintenance_group.command("status")
def status() -> None:
    """Whether it is on."""
    with _telling():
        found = maintenance.read()
    click.echo(_words(found) if found else "Maintenance is off.")
    _tell_of_the_environment()


def _words(found: maintenance.Maintenance) -> str:
    until = f" until about {found.until:%Y-%m-%d %H:%M} UTC" if found.until else ""
    return f"Maintenance is on{until}. `flask maintenance off` ends it."


def _tell_of_the_environment() -> None:
    settings: Settings = current_app.config["SETTINGS"]
    if settings.maintenance:
        click.echo("MAINTENANCE is set in this environment: processes started with it stay closed.")


@contextmanager
def _telling() -> Iterator[None]:
    """Around what needs Redis: without it nothing can be switched, and that is said."""
    try:
        yield
    except RedisError as error:
        raise click.ClickException(f"Redis cannot be reached: {error}") from None
