"""Stripe's errors: one class, made by the functions below, answered as Stripe answers them.

Shapes and codes: https://docs.stripe.com/api/errors and https://docs.stripe.com/error-codes
"""

from typing import Any

INVALID_REQUEST = "invalid_request_error"


class StripeError(Exception):
    """A refusal as the API words it. Nothing was written when it is raised, unless it says `kept`."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: str = INVALID_REQUEST,
        code: str | None = None,
        param: str | None = None,
        saved: bool = False,
        kept: bool = False,
        more: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.type = type
        self.code = code
        self.param = param
        self.saved = saved  # raised after execution began: an idempotency key remembers it
        self.kept = kept  # what was written stays: a declined card leaves its charge and its events
        self.more = more or {}  # further keys of the error, such as the payment intent that failed

    def to_json(self, *, request_log_url: str) -> dict[str, Any]:
        error: dict[str, Any] = {"message": self.message, "type": self.type}
        if self.code is not None:
            error["code"] = self.code
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}"
        if self.param is not None:
            error["param"] = self.param
        error["request_log_url"] = request_log_url
        error |= self.more
        return {"error": error}


def invalid(message: str, *, param: str, code: str | None = None) -> StripeError:
    return StripeError(message, param=param, code=code)


def missing_param(param: str) -> StripeError:
    return invalid(f"Missing required param: {param}.", param=param, code="parameter_missing")


def unknown_param(param: str) -> StripeError:
    return invalid(f"Received unknown parameter: {param}", param=param, code="parameter_unknown")


def exclusive_params(*params: str) -> StripeError:
    listed = ", ".join(params)
    return invalid(
        f"You may only specify one of these parameters: {listed}.",
        param=params[0],
        code="parameters_exclusive",
    )


def no_such(type: str, id: str, *, param: str, status: int = 404) -> StripeError:
    """404 for an id in the path; 400 for one in a parameter."""
    return StripeError(f"No such {type}: '{id}'", status=status, code="resource_missing", param=param)


def refused(message: str, *, code: str | None = None, param: str | None = None) -> StripeError:
    """The request was well formed; the state of things forbids it. A replayed key gets it again."""
    return StripeError(message, code=code, param=param, saved=True)


def card_declined(
    code: str, message: str, *, decline_code: str | None = None, more: dict[str, Any] | None = None
) -> StripeError:
    """402 `card_error`: the attempt was made and stays on record."""
    told: dict[str, Any] = {"decline_code": decline_code} if decline_code else {}
    return StripeError(
        message, status=402, type="card_error", code=code, saved=True, kept=True, more=told | (more or {})
    )


def no_key() -> StripeError:
    return StripeError(
        "You did not provide an API key. You need to provide your API key in the Authorization header, "
        "using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
        status=401,
    )


def bad_key(key: str) -> StripeError:
    shown = f"{key[:8]}{'*' * max(0, len(key) - 12)}{key[-4:]}" if len(key) > 12 else "*" * len(key)
    return StripeError(f"Invalid API Key provided: {shown}", status=401)
