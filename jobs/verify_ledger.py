"""Proving each night that the ledger is right, beside the web and not in it."""

import os
from datetime import timedelta

import structlog
from flask import current_app
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from jobs.application import application
from jobs.progress import count
from webapp import clock, ledger
from webapp.billing.proof import violations
from webapp.config import Settings
from webapp.database import sqlalchemy_url, unit_of_work
from webapp.ledger.proof.facts import Finding
from webapp.ledger.proof.parallel import connect, verify_all
from webapp.ledger.proof.sealed import check_seals
from webapp.sealing import seal_keys

log = structlog.get_logger()

# What waits for a day in the outbox and is not parked was forgotten.
UNDONE_LIMIT = timedelta(days=1)
# A ledger that is wrong all over would fill the log; the command prints everything.
MOST_LINES = 100


def verify_ledger() -> None:
    """Everything that the ledger says is recomputed, as `flask ledger verify` does; each lie is a line of the log.

    Reads only, by half of the cores. The figure of findings is kept with the run, and /metrics tells it.
    """
    with application().app_context():
        settings: Settings = current_app.config["SETTINGS"]
        url = settings.database_owner_url or settings.database_url
        assert url is not None
        with unit_of_work() as session:
            now = ledger.now(session)
        processes = max(1, (os.cpu_count() or 1) // 2)
        report = verify_all(url, jobs=processes, now=now, progress=lambda entries: count(entries=entries))
        findings = report.findings + _of_billing(url)
        with connect(url) as connection:
            seals = check_seals(connection, keys=seal_keys(settings))
        findings += seals.findings
        count(accounts=report.accounts, grants=report.grants, findings=len(findings))
        for finding in findings[:MOST_LINES]:
            log.error("ledger_lies", **finding._asdict())


def _of_billing(url: str) -> list[Finding]:
    """The invariants between the ledger and the other tables; as the owner, for whom no statement is too long."""
    engine = create_engine(sqlalchemy_url(url))
    try:
        with Session(engine) as session:
            found = violations(session, undone_since=clock.now() - UNDONE_LIMIT)
    finally:
        engine.dispose()
    return [Finding(invariant=v.invariant, account_id=v.account_id, seq=None, detail=v.detail) for v in found]
