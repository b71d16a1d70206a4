"""`flask jobs …`: the periodic jobs by hand."""

import click
from flask.cli import AppGroup

jobs_group = AppGroup("jobs", help="Periodic jobs.")


@jobs_group.command("once")
@click.argument("name")
def once(name: str) -> None:
    """Run the periodic job NAME now, in this process."""
    from jobs.schedule import SCHEDULE

    by_name = {periodic.name: periodic for periodic in SCHEDULE}
    if name not in by_name:
        raise click.ClickException(f"There is no job {name!r}; there are {', '.join(by_name)}.")
    by_name[name].job()
    click.echo(f"{name}: done.")


@jobs_group.command("list")
def list_jobs() -> None:
    """Print which job runs how often."""
    from jobs.schedule import SCHEDULE

    for periodic in SCHEDULE:
        click.echo(f"{periodic.name:20} every {periodic.every_seconds} s")
