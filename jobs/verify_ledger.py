"""Proving each night that the ledger is right, beside the web and not in it."""

import os
import time

import structlog
from flask import current_app
from sqlalchemy.orm import Session

from jobs.application import application
from jobs.progress import count
from webapp import ledger
from webapp.billing.proof import findings
from webapp.billing.proofs import MOST_FINDINGS, keep_proof, names_of_accounts
from webapp.config import Settings
from webapp.database import retried, unit_of_work
from webapp.ledger.proof.parallel import connect, verify_all
from webapp.ledger.proof.sealed import check_seals
from webapp.ledger.proof.told import report_for_programs
from webapp.sealing import seal_keys

log = structlog.get_logger()

# A ledger that is wrong all over would fill the log; the command prints everything.
MOST_LINES = 100


def verify_ledger() -> None:
    """Everything that the ledger says is recomputed, as `flask ledger verify` does; each lie is a line of the log.

    Reads only, by half of the cores. The report is kept, and the figure of findings with the run: /metrics tells it.
    """
    with application().app_context():
        settings: Settings = current_app.config["SETTINGS"]
        began = time.monotonic()
        url = settings.database_owner_url or settings.database_url
        assert url is not None
        with unit_of_work() as session:
            now = ledger.now(session)
        processes = max(1, (os.cpu_count() or 1) // 2)
        about_so_many = 0

        def show(entries: int) -> None:
            nonlocal about_so_many
            about_so_many += entries
            count(entries=entries)

        report = verify_all(url, jobs=processes, now=now, progress=show)
        count(entries=report.entries - about_so_many)  # on the way it was told how much work is done, about
        report.findings += findings(url)
        with connect(url) as connection:
            seals = check_seals(connection, keys=seal_keys(settings))
            balance = dict(connection.execute("SELECT ledger_account, balance FROM ledger.trial_balance_v").fetchall())
        found = report.findings + seals.findings
        count(accounts=report.accounts, grants=report.grants, findings=len(found))
        seconds = time.monotonic() - began
        about = {one.account_id for one in found[:MOST_FINDINGS] if one.account_id is not None}

        def keep(session: Session) -> None:
            names = names_of_accounts(session, account_ids=about)
            told = report_for_programs(report, seals, seconds=seconds, names=names)
            keep_proof(session, report={**told, "trial_balance": balance})

        retried(keep)
        for finding in found[:MOST_LINES]:
            log.error("ledger_lies", **finding._asdict())
