"""`flask ledger rebuild`."""

import json
import sys
from datetime import datetime
from typing import Any

import click
import psycopg
import structlog
from flask import current_app
from flask.cli import with_appcontext

from webapp.commands.database import owner_url
from webapp.commands.ledger import find_account, time_of_ledger
from webapp.config import Settings
from webapp.ledger.rebuild import Rebuilt, rebuild

log = structlog.get_logger()


@click.command("rebuild")
@click.option("--account", "external_id", help="Only this account, by the product's own name for it.")
@click.option("--write", is_flag=True, help="Store the recomputed figures, an account at a time, under its lock.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each account with a difference.")
@with_appcontext
def rebuild_command(external_id: str | None, write: bool, as_json: bool) -> None:
    """Recompute every cached figure from entries, draws, holds and freezes, and show the differences.

    Exits with 1 when a figure is not what the history leads to, unless --write has made it so. An account whose
    history contradicts itself is never written to.
    """
    settings: Settings = current_app.config["SETTINGS"]
    url = owner_url(settings)
    account_id = None if external_id is None else find_account(url, external_id)
    is_right, accounts = True, 0
    with psycopg.connect(url, autocommit=True, options="-c timezone=UTC") as connection:
        for found in rebuild(connection, account_id=account_id, now=time_of_ledger(url), write=write):
            accounts += 1
            is_right = is_right and found.is_right
            click.echo(_as_json(found) if as_json else _as_text(found))
            if found.written:
                log.warning("ledger_rebuilt", account_id=found.account_id, figures=list(map(str, found.differences)))
    if not as_json:
        click.echo(_summary(accounts, is_right))
    sys.exit(0 if is_right else 1)


def _as_text(found: Rebuilt) -> str:
    lines = [f"account {found.account_id}: {each}" for each in found.differences]
    lines += [f"account {found.account_id} entry {each.seq or '-'}: {each.detail}" for each in found.findings]
    if found.findings:
        lines.append(f"account {found.account_id}: its history contradicts itself; nothing can be rebuilt from it")
    return "\n".join(lines)


def _as_json(found: Rebuilt) -> str:
    return json.dumps(
        {
            "account_id": found.account_id,
            "written": found.written,
            "differences": [
                {
                    "figure": each.figure,
                    "grant_id": each.grant_id,
                    "stored": _plain(each.stored),
                    "recomputed": _plain(each.recomputed),
                    "mendable": each.mendable,
                }
                for each in found.differences
            ],
            "findings": [each._asdict() for each in found.findings],
        }
    )


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else value


def _summary(accounts: int, is_right: bool) -> str:
    if not accounts:
        return "every figure is what the history leads to"
    count = f"{accounts:,} {'account' if accounts == 1 else 'accounts'}"
    return f"{count} had other figures; all are right now" if is_right else f"{count} with other figures"
