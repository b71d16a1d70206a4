"""Asking Stripe each night what it could not tell."""

from datetime import timedelta

import structlog

from jobs.application import application
from jobs.progress import count
from webapp import clock
from webapp.billing.reconcile import reconcile

log = structlog.get_logger()

# Twice the interval, so that nothing falls between two nights, and a night that failed is made good.
REACH = timedelta(days=2)


def reconcile_stripe() -> None:
    """Lost events are handled, paid and granted meet; what needs a person is logged and stays parked."""
    with application().app_context():
        for line in reconcile(since=clock.now() - REACH, closely=False):
            count(**{line.outcome: 1})
            if line.outcome == "parked":
                log.error("reconciliation_parked", what=line.what)
            elif line.outcome == "repaired":
                log.warning("reconciliation_repaired", what=line.what)
