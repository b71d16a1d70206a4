"""Sealing the heads of the ledger's hash chains, so that a rewritten history shows."""

import structlog

from jobs.application import application
from webapp import sealing

log = structlog.get_logger()


def seal_ledger() -> None:
    """What has changed since the last seal is sealed and exported; the log says each seal, a place to compare with."""
    with application().app_context():
        for made in sealing.seal_ledger():
            log.info("ledger_sealed", number=made.number, accounts=made.accounts, hmac=made.hmac.hex())
