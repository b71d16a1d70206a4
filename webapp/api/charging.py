"""Charging around work in Python, for a product that has Tallystick inside its own Flask application.

    with charge(account="team:7", feature="image", quantity=3, key=f"render:{job}") as charged:
        ...             # OutOfCredits is raised before this begins
        charged.quantity = 2  # what it came to, where that differs

Credits are reserved before the work begins, charged when it has succeeded, and free again when it failed. Each of these
is one short database transaction on a connection of its own; none is open while the work is done, and the session of
the product's own work is left alone.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from pydantic import ValidationError

from webapp.api.charge import Charge
from webapp.api.charge_refusals import AlreadyCharged, AlreadyRunning, ChargeRefused, OutOfCredits
from webapp.api.holds import DEFAULT_SECONDS, HoldRequest

__all__ = ["AlreadyCharged", "AlreadyRunning", "Charge", "ChargeRefused", "OutOfCredits", "charge", "charged_for"]

Given = ParamSpec("Given")
Result = TypeVar("Result")

ACTOR = "api:embedded"
LONGEST_KEY = 200


def charge(
    *,
    account: str,
    key: str,
    feature: str | None = None,
    quantity: int = 1,
    dimensions: Mapping[str, Any] | None = None,
    amount: int | None = None,
    description: str | None = None,
    reference: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    expires_in: int = DEFAULT_SECONDS,
    actor: str = ACTOR,
) -> Charge:
    """A charge of the account, by its external id, to be entered around the work that it is for.

    `feature`, with its `quantity` or `dimensions`, costs what the rate card says; `amount` is credits. What is given
    here is the most that the work is expected to need: it is what must be there. `key` (1 to 200 characters) names
    the work: after it was charged once, it is never charged again. `expires_in` is how many seconds the work may take
    at the most; when the process dies, the credits are free again after them. Raises ValueError for what cannot be
    meant; nothing happens before it is entered.
    """
    if not (0 < len(key) <= LONGEST_KEY and key.isprintable()):
        raise ValueError(f"the key must be 1 to {LONGEST_KEY} printable characters")
    given: dict[str, Any] = {
        "account": account,
        "feature": feature,
        "dimensions": None if dimensions is None else dict(dimensions),
        "amount": amount,
        "description": description,
        "reference": reference,
        "metadata": None if metadata is None else dict(metadata),
        "expires_in": expires_in,
    }
    if quantity != 1 or amount is None:
        given["quantity"] = quantity
    try:
        wanted = HoldRequest(**given)
    except ValidationError as error:
        raise ValueError(str(error)) from None
    return Charge(wanted=wanted, key=key, actor=actor)


def charged_for(
    feature: str | None = None,
    *,
    account: str | Callable[..., str],
    key: str | Callable[..., str],
    quantity: int | Callable[..., int] = 1,
    dimensions: Mapping[str, Any] | Callable[..., Mapping[str, Any]] | None = None,
    amount: int | Callable[..., int] | None = None,
    description: str | Callable[..., str] | None = None,
    reference: str | Callable[..., str] | None = None,
    metadata: Mapping[str, Any] | Callable[..., Mapping[str, Any]] | None = None,
    expires_in: int = DEFAULT_SECONDS,
    actor: str = ACTOR,
    on_replay: Callable[..., Any] | None = None,
) -> Callable[[Callable[Given, Result]], Callable[Given, Result]]:
    """The decorated function is work that is charged for, each time that it is called, as by `charge`.

    What may be a function is called with the work's own arguments. Where the work has a parameter `charged`, it is
    given the Charge. Work that was charged before under its key does not run again: `on_replay` is called instead, to
    find what came of it, or AlreadyCharged is raised. Raises TypeError for a generator or a coroutine, which would be
    charged before they have done anything: enter `charge` inside of them.
    """

    def decorate(work: Callable[Given, Result]) -> Callable[Given, Result]:
        if inspect.isgeneratorfunction(work) or inspect.iscoroutinefunction(work) or inspect.isasyncgenfunction(work):
            raise TypeError(f"{work.__name__} returns before its work is done: enter charge() inside of it")
        wants_charge = "charged" in inspect.signature(work).parameters

        @wraps(work)
        def wrapper(*args: Given.args, **kwargs: Given.kwargs) -> Result:
            def chosen(value: Any) -> Any:
                return value(*args, **kwargs) if callable(value) else value

            around = charge(
                account=chosen(account),
                key=chosen(key),
                feature=feature,
                quantity=chosen(quantity),
                dimensions=chosen(dimensions),
                amount=chosen(amount),
                description=chosen(description),
                reference=chosen(reference),
                metadata=chosen(metadata),
                expires_in=expires_in,
                actor=actor,
            )
            with around as charged:
                if charged.replayed:
                    if on_replay is None:
                        raise AlreadyCharged(entry=charged.entry_id)
                    replayed: Result = on_replay(*args, **kwargs)
                    return replayed
                if wants_charge:
                    kwargs["charged"] = charged
                return work(*args, **kwargs)

        return wrapper

    return decorate
