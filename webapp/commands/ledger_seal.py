"""`flask ledger seal`."""

from pathlib import Path

import click
from flask.cli import with_appcontext

from webapp.sealing import seal_ledger


@click.command("seal")
@click.option(
    "--export",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Append every seal that this file lacks to it, one JSON object a line; default: in DATA_DIR/seals.",
)
@with_appcontext
def seal_command(export: Path | None) -> None:
    """Seal the newest entry of every account that has changed since its last seal."""
    made = seal_ledger(export=export)
    for seal in made:
        click.echo(f"seal {seal.number}: {seal.accounts:,} accounts, hmac {seal.hmac.hex()}, key {seal.key_id}")
    if not made:
        click.echo("Nothing has changed since the last seal.")
