"""`flask campaign …`: credits as a present, to whom and when."""

from datetime import UTC, datetime
from typing import TextIO

import click
from flask.cli import AppGroup
from sqlalchemy.orm import Session

from webapp import clock, ledger
from webapp.catalog.campaign import BadCampaign, create_campaign, list_campaigns
from webapp.catalog.plan import find_plan
from webapp.database import unit_of_work

campaign_group = AppGroup("campaign", help="Campaigns: credits as a present.")

_DATES = click.DateTime(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@campaign_group.command("create")
@click.argument("code")
@click.option("--name", required=True, help="What people see it called.")
@click.option("--credits", required=True, type=click.IntRange(min=1), help="How many each account gets.")
@click.option("--days", type=click.IntRange(min=1), help="After how many days they expire; default: never.")
@click.option("--from", "starts_at", type=_DATES, help="When it begins, in UTC; default: now.")
@click.option("--until", "ends_at", type=_DATES, help="When it is over, in UTC; default: never.")
@click.option("--plan", help="Only for who is on this plan; default: everyone.")
@click.option("--accounts", type=click.File(encoding="utf-8"), help="Only for these: the product's name of one a line.")
def create(
    code: str,
    name: str,
    credits: int,
    days: int | None,
    starts_at: datetime | None,
    ends_at: datetime | None,
    plan: str | None,
    accounts: TextIO | None,
) -> None:
    """Make the campaign CODE. A job grants to who qualifies, each account once, as long as the window is open."""
    try:
        with unit_of_work() as session:
            if plan is not None and find_plan(session, code=plan) is None:
                raise click.BadParameter(f"there is no plan {plan!r}", param_hint="--plan")
            made = create_campaign(
                session,
                code=code,
                name=name,
                credits=credits,
                expires_days=days,
                starts_at=starts_at.replace(tzinfo=UTC) if starts_at else clock.now(),
                ends_at=ends_at.replace(tzinfo=UTC) if ends_at else None,
                plan=plan,
                account_ids=None if accounts is None else _account_ids(session, accounts),
            )
            told = f"{made.code}: {made.credits:,} credits for {made.plan or made.audience}."
    except BadCampaign as error:
        raise click.ClickException(f"No campaign was made: {error}.") from None
    click.echo(told)


@campaign_group.command("list")
def list_them() -> None:
    """Print all campaigns, the newest first."""
    with unit_of_work() as session:
        for one in list_campaigns(session):
            until = f"{one.ends_at:%Y-%m-%d %H:%M}" if one.ends_at else "open"
            runs = "runs" if one.runs_at(clock.now()) else "does not run"
            whom = one.plan or one.audience
            click.echo(f"{one.code}  {one.credits:,} for {whom}  {one.starts_at:%Y-%m-%d %H:%M} – {until}  {runs}")


@campaign_group.command("run")
@click.argument("code")
def run(code: str) -> None:
    """Grant the campaign CODE now to everybody who qualifies and does not have it yet."""
    from jobs.grant_campaigns import grant_campaign

    with unit_of_work() as session:
        campaigns = {one.code: one.runs_at(clock.now()) for one in list_campaigns(session)}
    if code not in campaigns:
        raise click.ClickException(f"There is no campaign {code!r}.")
    if not campaigns[code]:
        raise click.ClickException(f"The campaign {code!r} does not run now.")
    click.echo(f"{code}: granted to {grant_campaign(code):,} accounts.")


def _account_ids(session: Session, lines: TextIO) -> list[int]:
    found = []
    for line in lines:
        external_id = line.strip()
        if not external_id:
            continue
        try:
            found.append(ledger.find_account(session, external_id=external_id).account_id)
        except ledger.AccountNotFound:
            raise click.BadParameter(f"there is no account {external_id!r}", param_hint="--accounts") from None
    return found
