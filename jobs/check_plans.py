"""Finding the orders of plans and the subscriptions whose time to ask Stripe has come."""

from jobs.application import application
from jobs.progress import count
from webapp.billing.looking_after import check_subscriptions
from webapp.billing.settling_order import check_open_orders
from webapp.database import retried

CHUNK = 200


def check_plans() -> None:
    """One chunk of each is put to work; the rest comes with the next run, a minute later."""
    with application().app_context():
        count(orders=retried(lambda session: check_open_orders(session, limit=CHUNK)))
        count(subscriptions=retried(lambda session: check_subscriptions(session, limit=CHUNK)))
