"""`flask ledger …`"""

import json
import sys
from dataclasses import asdict
from datetime import timedelta

import click
from flask import current_app
from flask.cli import AppGroup
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.orm import Session

from webapp import clock
from webapp.billing.proof import violations
from webapp.commands.database import owner_url
from webapp.config import Settings
from webapp.database import sqlalchemy_url
from webapp.ledger.proof.facts import Finding
from webapp.ledger.verify import Report, verify

# Retries take about an hour; what is a day old and not parked was forgotten.
UNDONE_LIMIT = timedelta(days=1)

ledger_group = AppGroup("ledger", help="The ledger: prove that it is right.")


@ledger_group.command("verify")
@click.option("--account", "external_id", help="Only this account, by the product's own name for it.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
def verify_command(external_id: str | None, as_json: bool) -> None:
    """Recompute everything that the ledger says and exit with 1 at the first lie."""
    settings: Settings = current_app.config["SETTINGS"]
    engine = create_engine(sqlalchemy_url(owner_url(settings)))
    try:
        with engine.connect() as connection:
            ids = None if external_id is None else [_account_id(connection, external_id)]
            report = verify(connection, account_ids=ids)
        report.findings += _findings_of_billing(engine, account_id=ids[0] if ids else None)
    finally:
        engine.dispose()
    click.echo(_as_json(report) if as_json else _as_text(report))
    sys.exit(0 if report.holds else 1)


def _findings_of_billing(engine: Engine, *, account_id: int | None) -> list[Finding]:
    """The invariants between the ledger and the tables that it does not know: purchases, events, the outbox."""
    with Session(engine) as session:
        found = violations(session, undone_since=clock.now() - UNDONE_LIMIT, account_id=account_id)
    return [Finding(invariant=v.invariant, account_id=v.account_id, seq=None, detail=v.detail) for v in found]


def _account_id(connection: Connection, external_id: str) -> int:
    query = text("SELECT account_id FROM ledger.accounts_v WHERE external_id = :external_id")
    with connection.begin():
        account_id = connection.execute(query, {"external_id": external_id}).scalar_one_or_none()
    if account_id is None:
        raise click.BadParameter(f"there is no account {external_id!r}", param_hint="--account")
    return int(account_id)


def _as_json(report: Report) -> str:
    return json.dumps({"holds": report.holds, **asdict(report)})


def _as_text(report: Report) -> str:
    seen = ", ".join(
        f"{number:,} {word if number == 1 else words}"
        for number, word, words in (
            (report.accounts, "account", "accounts"),
            (report.grants, "grant", "grants"),
            (report.entries, "entry", "entries"),
        )
    )
    if report.holds:
        return f"every invariant holds: {seen}"
    lines = [
        f"invariant {finding.invariant}: account {finding.account_id or '-'} entry {finding.seq or '-'}: "
        f"{finding.detail}"
        for finding in report.findings
    ]
    return "\n".join([*lines, f"{len(lines)} findings in {seen}"])
