"""One API call: its path, the parameters that it takes, and the function that answers it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from webapp.stripe_sandbox.errors import no_such
from webapp.stripe_sandbox.params import PAGE, Reader, array, range_of_time, shape, text
from webapp.stripe_sandbox.store import Store, Stored

EXPAND: Reader = array(text(max_length=500), max_length=20)


@dataclass(frozen=True)
class Call:
    store: Store
    id: str  # the id in the path, or ""
    params: dict[str, Any]


@dataclass(frozen=True)
class Operation:
    method: str
    path: str  # "/v1/refunds/<id>"
    params: Reader
    run: Callable[[Call], dict[str, Any]]


def create(
    path: str,
    run: Callable[[Call], dict[str, Any]],
    fields: Mapping[str, Reader],
    *,
    required: tuple[str, ...] = (),
) -> Operation:
    """A POST: makes, changes or acts."""
    return Operation("POST", path, shape({**fields, "expand": EXPAND}, required=required), run)


def delete(path: str, run: Callable[[Call], dict[str, Any]], fields: Mapping[str, Reader] | None = None) -> Operation:
    """A DELETE: its parameters are in the query string."""
    return Operation("DELETE", path, shape(fields or {}), run)


def list_of(path: str, run: Callable[[Call], dict[str, Any]], fields: Mapping[str, Reader] | None = None) -> Operation:
    """A GET of pages, with `created` where nothing else is said."""
    filters = {"created": range_of_time()} if fields is None else fields
    return Operation("GET", path, shape({**PAGE, **filters, "expand": EXPAND}), run)


def retrieve(path: str, *, type: str, param: str = "id") -> Operation:
    """A GET of one object by its id."""

    def run(call: Call) -> dict[str, Any]:
        gone = call.store.find(f"deleted_{type}", call.id)
        return gone.data if gone else found(call, type=type, param=param).data

    return Operation("GET", path, shape({"expand": EXPAND}), run)


def found(call: Call, *, type: str, param: str = "id", lock: bool = False) -> Stored:
    """The object that the path names. Raises StripeError (404)."""
    stored = call.store.lock(type, call.id) if lock else call.store.find(type, call.id)
    if stored is None:
        raise no_such(type, call.id, param=param)
    return stored


def merge_metadata(old: dict[str, str], new: dict[str, str]) -> dict[str, str]:
    """Stripe's rule: keys are added or replaced one by one, an empty value deletes its key."""
    return {key: value for key, value in {**old, **new}.items() if value != ""}


def chosen(params: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Those of the named parameters that were given: what a list is filtered by."""
    return {name: params[name] for name in names if name in params}
