"""`flask api-key …`: the operator's keys to the API."""

import re
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import click
from flask import current_app
from flask.cli import AppGroup
from sqlalchemy.orm import Session

from webapp import clock
from webapp.api import keys
from webapp.database import unit_of_work

api_key_group = AppGroup("api-key", help="The operator's keys to the API.")

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Duration(click.ParamType):  # type: ignore[type-arg]
    """A span of time: 90s, 15m, 2h, 90d."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch(r"(\d{1,5})([smhd])", str(value), re.ASCII)
        if found is None:
            self.fail(f"{value!r} is not a duration such as 90s, 15m, 2h or 90d.", param, ctx)
        return timedelta(**{_UNITS[found[2]]: int(found[1])})


class Expiry(click.ParamType):  # type: ignore[type-arg]
    """A span of time from now, or the moment itself: 90d, 2027-01-31, 2027-01-31T18:00:00Z. Without a zone: UTC."""

    name = "duration or date"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta | datetime:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            return Duration().convert(value, param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Network(click.ParamType):  # type: ignore[type-arg]
    """An address or a range of addresses."""

    name = "address or range"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return str(ip_network(str(value), strict=False))
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


@api_key_group.command("create")
@click.option(
    "--scopes", required=True, multiple=True, help=f"With commas or spaces between: {' '.join(keys.SCOPES)}; or all."
)
@click.option(
    "--expires",
    type=Expiry(),
    help="How long it works, 90s 15m 2h 90d, or until when, 2027-01-31. For ever when left out.",
)
@click.option("--ip", "ip_ranges", type=Network(), multiple=True, help="Works only from there, such as 10.0.0.0/8.")
@click.option("--name", default="", help="What it is for.")
@click.option(
    "--rate",
    type=click.IntRange(1, 10_000_000),
    default=keys.RATE_PER_MINUTE,
    show_default=True,
    help="Requests a minute.",
)
def create(
    scopes: tuple[str, ...], expires: timedelta | datetime | None, ip_ranges: tuple[str, ...], name: str, rate: int
) -> None:
    """Make a key and print it: this once, for it is stored hashed."""
    named = re.split(r"[\s,]+", " ".join(scopes).strip())
    chosen = keys.SCOPES if named == ["all"] else named
    try:
        with unit_of_work() as session:
            _key, secret = keys.create_key(
                session,
                name=name,
                scopes=chosen,
                sandbox=current_app.config["SANDBOX"],
                expires_at=_end(expires),
                ip_ranges=ip_ranges,
                rate_per_minute=rate,
            )
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--scopes") from None
    click.echo(secret)


@api_key_group.command("rotate")
@click.argument("prefix_or_id")
@click.option("--overlap", type=Duration(), default="24h", show_default=True, help="How long the old one works on.")
def rotate(prefix_or_id: str, overlap: timedelta) -> None:
    """Print a successor with the same rights; the old key ends after the overlap."""
    with unit_of_work() as session:
        key = _find(session, prefix_or_id)
        _successor, secret = keys.rotate_key(session, key=key, overlap=overlap, sandbox=current_app.config["SANDBOX"])
    click.echo(secret)


@api_key_group.command("revoke")
@click.argument("prefix_or_id")
def revoke(prefix_or_id: str) -> None:
    """Refuse a key from its next request on. It is named by its id, its prefix, or itself."""
    with unit_of_work() as session:
        key = _find(session, prefix_or_id)
        keys.revoke_key(session, key=key)
        prefix = key.prefix
    click.echo(f"Revoked {prefix}.")


@api_key_group.command("list")
def show() -> None:
    """All keys: what they may do, until when, and when they were last used."""
    with unit_of_work() as session:
        for key in keys.list_keys(session):
            state = "revoked" if key.revoked_at else f"until {key.expires_at:%Y-%m-%d %H:%M}" if key.expires_at else ""
            used = f"used {key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never used"
            where = " ".join(str(network) for network in key.ip_ranges)
            columns = (str(key.id), key.prefix, key.name, " ".join(key.scopes), where, used, state)
            click.echo("\t".join(columns))


def _end(expires: timedelta | datetime | None) -> datetime | None:
    """The moment that was asked for, by the clock of the unit of work."""
    moment = clock.now() + expires if isinstance(expires, timedelta) else expires
    if moment is not None and moment <= clock.now():
        raise click.BadParameter("That is past.", param_hint="--expires")
    return moment


def _find(session: Session, prefix_or_id: str) -> keys.ApiKey:
    try:
        return keys.find_key(session, prefix_or_id=prefix_or_id)
    except keys.KeyNotFound:
        raise click.ClickException(f"No key, or more than one, goes by {prefix_or_id[:25]!r}.") from None
