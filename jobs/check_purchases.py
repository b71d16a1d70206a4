"""Finding the purchases whose time to ask Stripe has come."""

from jobs.application import application
from jobs.progress import count
from webapp.billing.reconcile import check_open_purchases
from webapp.database import retried

CHUNK = 200


def check_purchases() -> None:
    """One chunk of unsettled purchases is put to work; the rest comes with the next run, a minute later."""
    with application().app_context():
        count(purchases=retried(lambda session: check_open_purchases(session, limit=CHUNK)))
