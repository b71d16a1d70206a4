"""`flask unlock …`: what is opened once with credits."""

import click
from flask.cli import AppGroup

from webapp.catalog.unlock import BadUnlock, UnlockNotFound, create_unlock, list_unlocks, offer_unlock
from webapp.database import unit_of_work

unlock_group = AppGroup("unlock", help="Unlocks: features that are opened once with credits.")


@unlock_group.command("create")
@click.argument("key")
@click.option("--name", required=True, help="What people see it called, in English.")
@click.option("--credits", required=True, type=click.IntRange(min=1), help="What it costs.")
@click.option("--features", required=True, help="The product's keys of what it opens, with commas between them.")
@click.option("--description", default="", help="One line that explains it, in English.")
@click.option("--days", type=click.IntRange(min=1), help="For how many days it is open; default: for good.")
def create(key: str, name: str, credits: int, features: str, description: str, days: int | None) -> None:
    """Make the unlock KEY and put it on offer."""
    try:
        with unit_of_work() as session:
            made = create_unlock(
                session,
                key=key,
                name=name,
                description=description,
                credits=credits,
                features=[feature.strip() for feature in features.split(",")],
                duration_days=days,
            )
            told = f"{made.key}: {made.credits:,} credits open {', '.join(made.features)}."
    except BadUnlock as error:
        raise click.ClickException(f"No unlock was made: {error}.") from None
    click.echo(told)


@unlock_group.command("list")
def list_them() -> None:
    """Print all unlocks, in the order of the shop window."""
    with unit_of_work() as session:
        for one in list_unlocks(session, all_of_them=True):
            long = f"{one.duration_days} days" if one.duration_days else "for good"
            offered = "on offer" if one.active else "not on offer"
            click.echo(f"{one.key}  {one.credits:,} credits  {long}  {', '.join(one.features)}  {offered}")


@unlock_group.command("retire")
@click.argument("key")
def retire(key: str) -> None:
    """Take the unlock KEY off offer; who has it keeps it."""
    _offer(key, active=False)
    click.echo(f"{key} is not on offer any more.")


@unlock_group.command("offer")
@click.argument("key")
def offer(key: str) -> None:
    """Put the unlock KEY on offer again."""
    _offer(key, active=True)
    click.echo(f"{key} is on offer.")


def _offer(key: str, *, active: bool) -> None:
    try:
        with unit_of_work() as session:
            offer_unlock(session, key=key, active=active)
    except UnlockNotFound:
        raise click.ClickException(f"There is no unlock {key!r}.") from None
