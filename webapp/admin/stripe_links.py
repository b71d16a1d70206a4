"""From an id of Stripe's to the page where Stripe shows it."""

from flask import current_app
from werkzeug.routing import BaseConverter

from webapp.billing.stripe_api import mode as our_mode

DASHBOARD = "https://dashboard.stripe.com"
# By how an id begins: the page of Stripe's dashboard, and the part of the sandbox's page. What has no page of its own
# is searched for: https://docs.stripe.com/dashboard/search
_PLACES = {
    "pi": ("payments", "charges"),
    "ch": ("payments", "charges"),
    "py": ("payments", "charges"),
    "sub": ("subscriptions", "subscriptions"),
    "in": ("invoices", "invoices"),
    "cus": ("customers", "customers"),
    "du": ("disputes", "disputes"),
    "dp": ("disputes", "disputes"),
    "evt": ("events", "events"),
    "cs": (None, "sessions"),
    "re": (None, "refunds"),
}


class StripeId(BaseConverter):
    """`<stripe:…>` in a path: what an id of Stripe's looks like; anything else is no page."""

    regex = "[a-z]{2,10}_[A-Za-z0-9_]{1,200}"


def stripe_link(stripe_id: str | None, *, mode: str | None = None) -> str | None:
    """The address of Stripe's page about it, or of the sandbox's; None where there is none (any more).

    `mode` is that of the object: what was paid in a sandbox or in test mode is not among live payments.
    """
    mode = mode or our_mode()
    if not stripe_id or (mode == "sandbox") != (our_mode() == "sandbox"):
        return None
    page, part = _PLACES.get(stripe_id.split("_", 1)[0], (None, ""))
    if mode == "sandbox":
        base = current_app.config["SETTINGS"].stripe_api_base
        return f"{base}/_sandbox/#{part}" if base and part else None
    side = "" if mode == "live" else "/test"
    if page is None:
        return f"{DASHBOARD}{side}/search?query={stripe_id}"
    return f"{DASHBOARD}{side}/{page}/{stripe_id}"
