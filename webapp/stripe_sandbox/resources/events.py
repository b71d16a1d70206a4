"""Events: https://docs.stripe.com/api/events"""

from typing import Any

from webapp.stripe_sandbox.errors import exclusive_params
from webapp.stripe_sandbox.operations import Call, Operation, list_of, retrieve
from webapp.stripe_sandbox.page import list_page
from webapp.stripe_sandbox.params import array, boolean, range_of_time, text

TYPE = "event"


def _list(call: Call) -> dict[str, Any]:
    params = call.params
    if "type" in params and "types" in params:
        raise exclusive_params("type", "types")
    wanted = [params["type"]] if "type" in params else params.get("types", [])
    return list_page(
        call.store,
        type=TYPE,
        url="/v1/events",
        params=params,
        match={"pending_webhooks": 0} if params.get("delivery_success") is True else None,
        unlike={"pending_webhooks": 0} if params.get("delivery_success") is False else None,
        any_of=[{"type": type} for type in wanted] or None,
    )


OPERATIONS: tuple[Operation, ...] = (
    retrieve("/v1/events/<id>", type=TYPE),
    list_of(
        "/v1/events",
        _list,
        {
            "created": range_of_time(),
            "delivery_success": boolean(),
            "type": text(max_length=200),
            "types": array(text(max_length=200), max_length=20),
        },
    ),
)
