"""`flask ledger …`: the group, and the proof."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import click
from flask import current_app
from flask.cli import AppGroup

from webapp import clock
from webapp.billing.proof import findings
from webapp.commands.database import owner_url
from webapp.config import Settings
from webapp.ledger.proof.facts import Finding
from webapp.ledger.proof.parallel import connect, count_entries, verify_accounts, verify_all
from webapp.ledger.proof.sealed import SealReport, check_seals
from webapp.ledger.proof.told import report_for_programs
from webapp.ledger.seals import Seal
from webapp.ledger.verify import Report
from webapp.sealing import exported_seals, seal_keys

HOLDS, LIES, NOT_CHECKED = 0, 1, 2

ledger_group = AppGroup("ledger", help="The ledger: prove that it is right, seal it, rebuild its figures.")


@dataclass
class Outcome:
    """All that a proof found, and the names of the accounts that it is about."""

    report: Report
    seals: SealReport
    seconds: float
    names: dict[int, str] = field(default_factory=dict)

    @property
    def findings(self) -> list[Finding]:
        return self.report.findings + self.seals.findings

    @property
    def exit_code(self) -> int:
        if self.findings:
            return LIES
        return NOT_CHECKED if self.seals.unknown_keys else HOLDS


@ledger_group.command("verify")
@click.option("--account", "external_id", help="Only this account, by the product's own name for it.")
@click.option("--jobs", type=click.IntRange(1, 256), default=os.cpu_count() or 1, help="Processes; default: the cores.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.option(
    "--progress/--no-progress", default=None, help="A progress bar; default: when standard error is a terminal."
)
@click.option(
    "--seals",
    "exported",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An exported file of seals to compare with.",
)
def verify_command(
    external_id: str | None, jobs: int, as_json: bool, progress: bool | None, exported: Path | None
) -> None:
    """Recompute everything that the ledger says.

    Exits with 0 when every invariant holds, 1 when one does not, 2 when something could not be checked, such as seals
    whose key LEDGER_SEAL_KEY does not name.
    """
    settings: Settings = current_app.config["SETTINGS"]
    url = owner_url(settings)
    began = time.monotonic()
    account_id = None if external_id is None else find_account(url, external_id)
    now = time_of_ledger(url)
    if account_id is not None:
        report = verify_accounts(url, [account_id], now=now)
    else:
        with _progress(url, sys.stderr.isatty() if progress is None else progress) as tell:
            report = verify_all(url, jobs=jobs, now=now, progress=tell)
    report.findings += findings(url, account_id=account_id)
    seals = _check_seals(settings, account_id, exported)
    outcome = Outcome(report, seals, time.monotonic() - began)
    outcome.names = _names(url, {finding.account_id for finding in outcome.findings})
    click.echo(_as_json(outcome) if as_json else _as_text(outcome))
    for key_id in sorted(seals.unknown_keys):
        click.echo(f"Seals made with the key {key_id} were not checked: LEDGER_SEAL_KEY does not name it.", err=True)
    sys.exit(outcome.exit_code)


def find_account(url: str, external_id: str) -> int:
    """The id of the account of that name; raises BadParameter when there is none."""
    with connect(url) as connection:
        row = connection.execute(
            "SELECT account_id FROM ledger.accounts_v WHERE external_id = %s", [external_id]
        ).fetchone()
    if row is None:
        raise click.BadParameter(f"there is no account {external_id!r}", param_hint="--account")
    return int(row[0])


def time_of_ledger(url: str) -> datetime:
    """The ledger's own time, which a sandbox may have moved."""
    with connect(url) as connection:
        row = connection.execute("SELECT ledger.now()").fetchone()
    moment: datetime = row[0] if row else clock.now()
    return moment


@contextmanager
def _progress(url: str, wanted: bool) -> Iterator[Callable[[int], None] | None]:
    if not wanted:
        yield None
        return
    with click.progressbar(length=count_entries(url), label="entries", file=sys.stderr) as bar:
        yield bar.update


def _check_seals(settings: Settings, account_id: int | None, exported: Path | None) -> SealReport:
    lines: Iterable[Seal] | None = None
    if exported is not None:
        try:
            lines = list(exported_seals(exported))
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--seals") from None
    with connect(owner_url(settings)) as connection:
        return check_seals(connection, keys=seal_keys(settings), account_id=account_id, exported=lines)


def _names(url: str, account_ids: set[int | None]) -> dict[int, str]:
    with connect(url) as connection:
        rows = connection.execute(
            "SELECT account_id, external_id FROM ledger.accounts_v WHERE account_id = ANY (%s)",
            [[account_id for account_id in account_ids if account_id is not None]],
        )
        return dict(rows.fetchall())


def _as_json(outcome: Outcome) -> str:
    return json.dumps(report_for_programs(outcome.report, outcome.seals, seconds=outcome.seconds, names=outcome.names))


def _as_text(outcome: Outcome) -> str:
    seen = ", ".join(
        f"{number:,} {word if number == 1 else words}"
        for number, word, words in (
            (outcome.report.accounts, "account", "accounts"),
            (outcome.report.grants, "grant", "grants"),
            (outcome.report.entries, "entry", "entries"),
            (outcome.seals.seals, "seal", "seals"),
        )
    )
    if not outcome.findings:
        claim = "every invariant holds" if outcome.exit_code == HOLDS else "no lie was found, but not all was checked"
        return f"{claim}: {seen}"
    lines = [_line(finding, outcome.names) for finding in outcome.findings]
    return "\n".join([*lines, f"{len(lines)} {'finding' if len(lines) == 1 else 'findings'} in {seen}"])


def _line(finding: Finding, names: dict[int, str]) -> str:
    account = "-"
    if finding.account_id is not None:
        account = f"{finding.account_id} ({names.get(finding.account_id, 'no such account')})"
    return f"invariant {finding.invariant}: account {account} entry {finding.seq or '-'}: {finding.detail}"
