"""Every API call that the sandbox answers; a new resource is a file in resources/ and a line here."""

from webapp.stripe_sandbox.operations import Operation
from webapp.stripe_sandbox.resources import (
    balance_transactions,
    charges,
    checkout_sessions,
    customers,
    events,
    payment_intents,
    payment_methods,
    prices,
    products,
    refunds,
)

OPERATIONS: tuple[Operation, ...] = (
    *balance_transactions.OPERATIONS,
    *charges.OPERATIONS,
    *checkout_sessions.OPERATIONS,
    *customers.OPERATIONS,
    *events.OPERATIONS,
    *payment_intents.OPERATIONS,
    *payment_methods.OPERATIONS,
    *prices.OPERATIONS,
    *products.OPERATIONS,
    *refunds.OPERATIONS,
)
