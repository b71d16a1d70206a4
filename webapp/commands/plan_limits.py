"""`flask plan limit …`: how much of a feature who is on a plan may use."""

import getpass
from typing import NoReturn

import click
from flask.cli import with_appcontext

from webapp.catalog.ceilings import CeilingRefused, list_ceilings, read_ceiling, remove_ceilings, set_ceiling
from webapp.catalog.windows import PERS
from webapp.database import unit_of_work

_REFUSED = {
    "plan": ("There is no such plan.", "PLAN"),
    "feature": ("There is no such feature.", "FEATURE"),
    "ceiling": ("Write 50/hour, 50/day or 50/month.", "CEILING"),
}


@click.command("limit")
@click.argument("plan")
@click.argument("feature")
@click.argument("ceiling")
@click.option("--actor", help="Who says so; default: the user of this machine.")
@with_appcontext
def limit_command(plan: str, feature: str, ceiling: str, actor: str | None) -> None:
    """Let who is on PLAN use no more of FEATURE than CEILING, such as 50/hour, 50/day or 50/month.

    From now on, and beside the ceilings of other windows. 0 allows none. Who is on no plan is held to the free one's.
    """
    try:
        read = read_ceiling(ceiling)
        with unit_of_work() as session:
            set_ceiling(session, plan=plan, feature=feature, ceiling=read, actor=actor or f"cli:{getpass.getuser()}")
    except CeilingRefused as refused:
        _refuse(refused)
    click.echo(f"{plan}: at most {read.quantity} of {feature} each {read.per}.")


@click.command("limits")
@click.argument("plan", required=False)
@with_appcontext
def limits_command(plan: str | None) -> None:
    """List the ceilings of all plans, or of PLAN."""
    with unit_of_work() as session:
        found = list_ceilings(session, plan=plan)
        for one in found:
            click.echo(f"{one.plan}  {one.feature}  {one.quantity}/{one.per}  {one.set_at:%Y-%m-%d %H:%M}  {one.actor}")
    if not found:
        click.echo("No plan limits anything." if plan is None else "That plan limits nothing.")


@click.command("unlimit")
@click.argument("plan")
@click.argument("feature")
@click.option("--per", type=click.Choice(PERS), help="That window's ceiling alone; all of them when left out.")
@with_appcontext
def unlimit_command(plan: str, feature: str, per: str | None) -> None:
    """Let who is on PLAN use as much of FEATURE as they can pay for."""
    with unit_of_work() as session:
        removed = remove_ceilings(session, plan=plan, feature=feature, per=per)
    if not removed:
        raise click.ClickException("There is no such ceiling.")
    click.echo(f"{plan}: {removed} ceilings of {feature} removed." if removed > 1 else f"{plan}: ceiling removed.")


def _refuse(refused: CeilingRefused) -> NoReturn:
    says, hint = _REFUSED[refused.what]
    raise click.BadParameter(says, param_hint=hint)
