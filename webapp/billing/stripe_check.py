"""Whether what is configured fits Stripe: the key, its mode and permissions, and the webhook endpoint. Only reads."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import stripe
from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp.billing.events import EVENT_TYPES
from webapp.billing.stripe_api import PaymentsUnavailable, client, mode
from webapp.config import Settings

WEBHOOK_PATH = "/stripe/webhook"
_ONE: Any = {"limit": 1}


@dataclass(frozen=True, kw_only=True)
class Found:
    """One thing that was looked at. `verdict`: right, wrong, or note (worth knowing, nothing to mend)."""

    verdict: str
    what: str


# By the names that Stripe's dashboard has for the permissions of a restricted key. Where a key has to write, only
# reading is tried: trying to write would write. The customer portal can be seen by nothing that only reads.
_PROBES: tuple[tuple[str, str, Callable[[], Any]], ...] = (
    ("Checkout Sessions", "write", lambda: client().v1.checkout.sessions.list(_ONE)),
    ("Customers", "write", lambda: client().v1.customers.list(_ONE)),
    ("PaymentMethods", "write", lambda: client().v1.payment_methods.list(_ONE)),
    ("PaymentIntents", "read", lambda: client().v1.payment_intents.list(_ONE)),
    ("SetupIntents", "read", lambda: client().v1.setup_intents.list(_ONE)),
    ("Charges and Refunds", "write", lambda: client().v1.refunds.list(_ONE)),
    ("Disputes", "read", lambda: client().v1.disputes.list(_ONE)),
    ("Subscriptions", "write", lambda: client().v1.subscriptions.list(_ONE)),
    ("Invoices", "write", lambda: client().v1.invoices.list(_ONE)),
    ("Products", "write", lambda: client().v1.products.list(_ONE)),
    ("Prices", "write", lambda: client().v1.prices.list(_ONE)),
    ("Events", "read", lambda: client().v1.events.list(_ONE)),
)
PERMISSIONS = tuple((name, access) for name, access, _probe in _PROBES)


def check_stripe(session: Session, *, settings: Settings) -> Iterator[Found]:
    """Everything that can be known without changing anything, a line for each.

    Stops at a key that Stripe does not know. Raises PaymentsUnavailable when Stripe does not answer.
    """
    kind = "restricted" if settings.stripe_secret_key.startswith("rk_") else "secret"
    yield Found(verdict="note", what=f"the key is a {kind} key of {mode()} mode")
    yield from _check_own_data(session)
    modes: set[bool] = set()
    for name, access, probe in _PROBES:
        try:
            modes |= {one.livemode for one in _asked(probe).data if hasattr(one, "livemode")}
        except stripe.AuthenticationError:
            yield Found(verdict="wrong", what="Stripe does not know the key: STRIPE_SECRET_KEY is mistyped or revoked")
            return
        except stripe.PermissionError:
            yield Found(verdict="wrong", what=f"the key may not read {name}; it needs {access} access")
        else:
            yield Found(verdict="right", what=f"the key may read {name} (needs {access})")
    if modes - {mode() == "live"}:
        yield Found(verdict="wrong", what="what Stripe shows to the key is of another mode (livemode) than the key")
    yield from _check_endpoint(settings)


def _check_own_data(session: Session) -> Iterator[Found]:
    """What was bought in another mode is left alone here, but its credits stay."""
    for other in session.scalars(_OTHER_MODES, {"mode": mode()}):
        yield Found(
            verdict="wrong", what=f"this database holds what was bought in {other} mode; each mode needs its own"
        )


_OTHER_MODES = text(
    "SELECT m FROM unnest(ARRAY['sandbox', 'test', 'live']) m WHERE m <> :mode AND ("
    " EXISTS (SELECT FROM purchases WHERE mode = m) OR EXISTS (SELECT FROM plan_orders WHERE mode = m)"
    " OR EXISTS (SELECT FROM subscriptions WHERE mode = m))"
)


def _check_endpoint(settings: Settings) -> Iterator[Found]:
    """The endpoint is there, is on, and gets every type of event that is cared about."""
    if settings.sandbox:
        yield Found(verdict="note", what="the sandbox sends every event to the address that it was started with")
        return
    try:
        endpoints = list(_asked(lambda: client().v1.webhook_endpoints.list({"limit": 100})).auto_paging_iter())
    except stripe.PermissionError:
        yield Found(verdict="note", what="the key may not read Webhook Endpoints, so the endpoint was not looked at")
        return
    url = settings.base_url + WEBHOOK_PATH
    ours = [one for one in endpoints if one.url == url]
    if not ours:
        yield Found(verdict="wrong", what=f"no webhook endpoint leads to {url}")
    for one in ours:
        yield from _check_one(one)


def _check_one(endpoint: stripe.WebhookEndpoint) -> Iterator[Found]:
    name = endpoint.id
    if endpoint.status != "enabled":
        yield Found(verdict="wrong", what=f"the webhook endpoint {name} is {endpoint.status}")
    missing = [] if "*" in endpoint.enabled_events else [t for t in EVENT_TYPES if t not in endpoint.enabled_events]
    if missing:
        yield Found(verdict="wrong", what=f"the webhook endpoint {name} does not get {', '.join(missing)}")
    else:
        yield Found(verdict="right", what=f"the webhook endpoint {name} gets every event that matters")
    if endpoint.api_version not in (None, stripe.api_version):
        what = f"the webhook endpoint {name} speaks {endpoint.api_version}, we {stripe.api_version}; only ids are read"
        yield Found(verdict="note", what=what)


def _asked(ask: Callable[[], Any]) -> Any:
    """The answer. Raises AuthenticationError, PermissionError, and PaymentsUnavailable for anything else."""
    try:
        return ask()
    except (stripe.AuthenticationError, stripe.PermissionError):
        raise
    except stripe.StripeError as error:
        raise PaymentsUnavailable(str(error)) from error
