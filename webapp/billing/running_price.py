"""By which of Stripe's prices the plan that runs was paid last: the next invoice may be for another one already."""

from collections.abc import Mapping

from webapp.billing.stripe_price import PricedPlan
from webapp.billing.subscription_facts import SubscriptionFacts


def running_price_id(facts: SubscriptionFacts, plans: Mapping[str, PricedPlan], *, plan: str) -> str | None:
    """The price that the newest paid invoice has for `plan`; None where none has one.

    `plans` says what the prices are that are ours.
    """
    lines = [
        line
        for invoice in facts.invoices
        if invoice.is_paid
        for line in invoice.lines
        if line.price_id
        and line.price_id in plans
        and plans[line.price_id].plan.code == plan
        and line.amount_minor >= 0
    ]
    return max(lines, key=lambda line: line.starts_at).price_id if lines else None
