"""`flask rate-card …`: what features cost, drafted in a file and published as a version that never changes."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import click
from flask.cli import AppGroup
from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp import clock
from webapp.billing.price_preview import preview_prices
from webapp.catalog.rate_card import Feature
from webapp.catalog.rate_card_file import (
    CardRefused,
    Change,
    Prices,
    changes_between,
    in_one_line,
    read_card,
    write_card,
)
from webapp.catalog.rate_card_versions import (
    EffectiveInThePast,
    NoSuchVersion,
    card_after,
    card_at,
    known_features,
    prices_of,
    publish_card,
)
from webapp.commands.api_key import Expiry
from webapp.commands.duration import DURATION
from webapp.database import unit_of_work

rate_card_group = AppGroup("rate-card", help="What features cost in credits, as versions that never change.")

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@rate_card_group.command("export")
@click.option("--version", type=int, help="Which version; the one in force when left out.")
def export(version: int | None) -> None:
    """Print a version as TOML, to begin a draft with."""
    with unit_of_work() as session:
        number = _in_force(session) if version is None else version
        prices = _prices(session, number)
        names = {feature.key: feature.name for feature in session.scalars(select(Feature))}
    click.echo(write_card(prices, heading=f"Rate card, as of version {number}", names=names), nl=False)


@rate_card_group.command("validate")
@click.argument("file", type=FILE)
def validate(file: Path) -> None:
    """Name everything that is wrong with a draft; exit 1 at anything. Changes nothing."""
    with unit_of_work() as session:
        prices = _draft(session, file)
    click.echo(f"{len(prices)} prices, all in order.")


@rate_card_group.command("diff")
@click.argument("file", type=FILE)
@click.option("--version", type=int, help="Compare with that version; with the one in force when left out.")
def diff(file: Path, version: int | None) -> None:
    """Say which prices a draft would change. Changes nothing."""
    with unit_of_work() as session:
        number = _in_force(session) if version is None else version
        changes = changes_between(_prices(session, number), _draft(session, file))
    _show(changes, version=number)


@rate_card_group.command("preview")
@click.argument("file", type=FILE)
@click.option("--since", type=DURATION, default="30d", show_default=True, help="How far to look back: 12h, 90d.")
@click.option("--accounts", type=click.IntRange(0, 1000), default=10, show_default=True, help="How many to list.")
def preview(file: Path, since: timedelta, accounts: int) -> None:
    """Say what was used lately would have cost under a draft, by feature and by account. Changes nothing."""
    with unit_of_work() as session:
        prices = _draft(session, file)
        now = clock.now()
        found = preview_prices(session, prices=prices, since=now - since, until=now, most_accounts=accounts)
    if not found.features:
        click.echo("Nothing was used in that time.")
        return
    rows = [(one.feature, f"{one.uses:,}", *_figures(one.before, one.after)) for one in found.features]
    both = (sum(one.before for one in found.features), sum(one.after for one in found.features))
    uses = sum(one.uses for one in found.features)
    _table([("feature", "uses", "charged", "draft", "difference"), *rows, ("all", f"{uses:,}", *_figures(*both))])
    for one in found.features:
        if one.refused:
            click.echo(
                f"{one.feature}: {one.refused:,} more uses would have been refused; the draft has no price for them."
            )
        if one.by_amount:
            click.echo(
                f"{one.feature}: {one.by_amount:,} more uses cost what the product said, whatever the rate card."
            )
    if found.accounts:
        click.echo("\nMost affected:")
        _table([(one.external_id, *_figures(one.before, one.after)) for one in found.accounts])


def _figures(before: int, after: int) -> tuple[str, str, str]:
    share = f" ({100 * (after - before) / before:+.1f} %)" if before else ""
    return f"{before:,}", f"{after:,}", f"{after - before:+,}{share}"


def _table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for first, *rest in rows:
        figures = [figure.rjust(width) for figure, width in zip(rest, widths[1:], strict=True)]
        click.echo("  ".join([first.ljust(widths[0]), *figures]).rstrip())


@rate_card_group.command("publish")
@click.argument("file", type=FILE)
@click.option(
    "--effective-at", type=Expiry(), help="From when on: 2027-01-31, 2027-01-31T18:00:00Z, 2h, 30d. Else now."
)
def publish(file: Path, effective_at: timedelta | datetime | None) -> None:
    """Make a draft the next version. A draft that changes no price is not published again."""
    with unit_of_work() as session:
        prices = _draft(session, file)
        moment = clock.now() + effective_at if isinstance(effective_at, timedelta) else effective_at
        before = card_at(session, moment=moment or clock.now())
        changes = changes_between(_prices(session, before.version) if before else {}, prices)
        if before and not changes:
            click.echo(f"Version {before.version} says the same: nothing was published.")
            return
        try:
            card = publish_card(session, prices=prices, effective_at=moment)
        except EffectiveInThePast:
            raise click.BadParameter("That is past.", param_hint="--effective-at") from None
        following = card_after(session, moment=card.effective_at)
        published, since = card.version, card.effective_at
        until = (
            f" until version {following.version} follows, {following.effective_at:%Y-%m-%d %H:%M %Z}"
            if following
            else ""
        )
    _show(changes, version=before.version if before else None)
    click.echo(f"Published version {published}, in force from {since:%Y-%m-%d %H:%M %Z}{until}.")


def _draft(session: Session, file: Path) -> Prices:
    try:
        return read_card(file.read_text(encoding="utf-8"), features=known_features(session))
    except UnicodeDecodeError:
        raise click.ClickException(f"{file} is not UTF-8.") from None
    except CardRefused as refused:
        for finding in refused.findings:
            click.echo(finding, err=True)
        raise SystemExit(1) from None


def _in_force(session: Session) -> int:
    card = card_at(session, moment=clock.now())
    if card is None:
        raise click.ClickException("No rate card is in force.")
    return card.version


def _prices(session: Session, version: int) -> Prices:
    try:
        return prices_of(session, version=version)
    except NoSuchVersion:
        raise click.ClickException(f"There is no version {version} of the rate card.") from None


def _show(changes: list[Change], *, version: int | None) -> None:
    click.echo(f"Compared with version {version}:" if version else "The first rate card:")
    for change in changes:
        click.echo(change.feature)
        if change.before:
            click.echo(f"  - {in_one_line(change.before)}")
        click.echo(f"  + {in_one_line(change.after)}" if change.after else "    has no price any more")
    if not changes:
        click.echo("No price changes.")
