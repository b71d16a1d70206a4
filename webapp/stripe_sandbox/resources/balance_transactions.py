"""Balance transactions: https://docs.stripe.com/api/balance_transactions"""

from typing import Any

from webapp.stripe_sandbox.operations import Call, Operation, chosen, list_of, retrieve
from webapp.stripe_sandbox.page import list_page
from webapp.stripe_sandbox.params import currency, one_of, range_of_time, text
from webapp.stripe_sandbox.store import Store, new_id

TYPE = "balance_transaction"
SECONDS_UNTIL_AVAILABLE = 2 * 86_400


def make_balance_transaction(
    store: Store,
    *,
    type: str,
    amount: int,
    currency: str,
    source: str,
    fee: int = 0,
    description: str | None = None,
) -> dict[str, Any]:
    """A line of the merchant's balance at Stripe; `amount` in minor units, negative for what goes out."""
    fees = [
        {
            "amount": fee,
            "application": None,
            "currency": currency,
            "description": "Stripe processing fees",
            "type": "stripe_fee",
        }
    ]
    line: dict[str, Any] = {
        "id": new_id("txn"),
        "object": TYPE,
        "amount": amount,
        "available_on": store.timestamp + SECONDS_UNTIL_AVAILABLE,
        "balance_type": "payments",
        "created": store.timestamp,
        "currency": currency,
        "description": description,
        "exchange_rate": None,
        "fee": fee,
        "fee_details": fees if fee else [],
        "net": amount - fee,
        "reporting_category": type,
        "source": source,
        "status": "pending",
        "type": type,
    }
    store.insert(line)
    return line


def fee_of(amount: int) -> int:
    """2.9 % and 30 minor units, never more than the amount: near enough to show that fees exist."""
    return min(amount, (amount * 29 + 500) // 1_000 + 30)


def _list(call: Call) -> dict[str, Any]:
    match = chosen(call.params, "currency", "source", "type")
    return list_page(call.store, type=TYPE, url="/v1/balance_transactions", params=call.params, match=match)


OPERATIONS: tuple[Operation, ...] = (
    retrieve("/v1/balance_transactions/<id>", type=TYPE),
    list_of(
        "/v1/balance_transactions",
        _list,
        {
            "created": range_of_time(),
            "currency": currency(),
            "source": text(max_length=255),
            "type": one_of("adjustment", "charge", "payment", "refund", "refund_failure"),
        },
    ),
)
