"""The way to Stripe: one client per application, and its failures as ours."""

from collections.abc import Iterator
from contextlib import contextmanager

import stripe
import structlog
from flask import Flask, current_app

from webapp.billing import breaker
from webapp.config import Settings

log = structlog.get_logger()

TIMEOUT_SECONDS = 10
RETRIES = 2


class PaymentsUnavailable(Exception):
    """Stripe could not be reached, or did not do what was asked. Nothing of ours was written then."""


class UnknownToStripe(Exception):
    """Stripe has no object of that id."""


def configure(app: Flask, settings: Settings) -> None:
    """Give the application its client: Stripe itself, or the double at `stripe_api_base`."""
    app.extensions["stripe"] = stripe.StripeClient(
        settings.stripe_secret_key,
        base_addresses={"api": settings.stripe_api_base} if settings.stripe_api_base else None,
        max_network_retries=RETRIES,
        http_client=stripe.RequestsClient(timeout=TIMEOUT_SECONDS),
    )
    app.config["STRIPE_MODE"] = mode_of(settings)


def mode_of(settings: Settings) -> str:
    """`sandbox`, `test` or `live`: whose objects an id of Stripe's means, for none is known in another mode."""
    if settings.sandbox:
        return "sandbox"
    return "live" if "_live_" in settings.stripe_secret_key[:9] else "test"


def mode() -> str:
    """The mode of this application."""
    current: str = current_app.config["STRIPE_MODE"]
    return current


def client() -> stripe.StripeClient:
    current: stripe.StripeClient = current_app.extensions["stripe"]
    return current


@contextmanager
def calling(what: str) -> Iterator[None]:
    """Around a call of Stripe. Raises UnknownToStripe for a missing object and PaymentsUnavailable otherwise.

    The SDK has retried what may be retried by then. What we asked wrongly is unavailable to the buyer too, but
    somebody has to look: it is logged as an error. While Stripe is known to be down it is not asked at all.
    """
    if not breaker.may_ask():
        raise PaymentsUnavailable(f"{what}: Stripe is down, and not asked for some seconds")
    try:
        yield
        breaker.succeeded()
    except stripe.StripeError as error:
        if isinstance(error, stripe.APIConnectionError) or (error.http_status or 0) >= 500:
            breaker.failed()
        else:
            breaker.succeeded()
        raise _as_ours(what, error) from error


def _as_ours(what: str, error: stripe.StripeError) -> UnknownToStripe | PaymentsUnavailable:
    if isinstance(error, stripe.InvalidRequestError):
        if error.http_status == 404:
            return UnknownToStripe(what)
        log.error("stripe_refused", doing=what, code=error.code, param=error.param, request=error.request_id)
    elif isinstance(error, stripe.AuthenticationError | stripe.PermissionError | stripe.IdempotencyError):
        log.error("stripe_refused", doing=what, code=error.code, request=error.request_id)
    else:
        log.warning("stripe_unavailable", doing=what, kind=type(error).__name__, request=error.request_id)
    return PaymentsUnavailable(what)
