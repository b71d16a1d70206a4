"""Every API call that the sandbox answers; a new resource is a file in resources/ and a line here."""

from webapp.stripe_sandbox.operations import Operation
from webapp.stripe_sandbox.resources import (
    balance_transactions,
    charges,
    checkout_sessions,
    coupons,
    customers,
    disputes,
    events,
    invoice_items,
    invoice_previews,
    invoices,
    payment_intents,
    payment_methods,
    prices,
    products,
    promotion_codes,
    refunds,
    setup_intents,
    subscriptions,
)

OPERATIONS: tuple[Operation, ...] = (
    *balance_transactions.OPERATIONS,
    *charges.OPERATIONS,
    *checkout_sessions.OPERATIONS,
    *coupons.OPERATIONS,
    *customers.OPERATIONS,
    *disputes.OPERATIONS,
    *events.OPERATIONS,
    *invoice_items.OPERATIONS,
    *invoice_previews.OPERATIONS,
    *invoices.OPERATIONS,
    *payment_intents.OPERATIONS,
    *payment_methods.OPERATIONS,
    *prices.OPERATIONS,
    *products.OPERATIONS,
    *promotion_codes.OPERATIONS,
    *refunds.OPERATIONS,
    *setup_intents.OPERATIONS,
    *subscriptions.OPERATIONS,
)
