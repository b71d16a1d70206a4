"""Billing portal sessions and configurations: https://docs.stripe.com/api/customer_portal"""

from typing import Any

from webapp.stripe_sandbox.errors import no_such
from webapp.stripe_sandbox.operations import (
    Call,
    Operation,
    chosen,
    create,
    found,
    list_of,
    merge_metadata,
    retrieve,
)
from webapp.stripe_sandbox.page import list_page
from webapp.stripe_sandbox.params import Reader, array, boolean, metadata, one_of, shape, text, url
from webapp.stripe_sandbox.resources.checkout_session_params import LOCALE_TAGS
from webapp.stripe_sandbox.resources.customers import require_customer
from webapp.stripe_sandbox.store import Store, Stored, new_id

TYPE = "billing_portal.session"
CONFIGURATION = "billing_portal.configuration"
FLOWS = ("payment_method_update", "subscription_cancel", "subscription_update")


def default_configuration(store: Store) -> Stored:
    """The configuration that sessions get when they name none; made when it is first needed."""
    for stored in store.match(CONFIGURATION, {"is_default": True}, limit=1):
        return stored
    return make_configuration(store, {}, is_default=True)


def make_configuration(store: Store, asked: dict[str, Any], *, is_default: bool) -> Stored:
    profile = {"headline": None, "privacy_policy_url": None, "terms_of_service_url": None}
    return store.insert(
        {
            "id": new_id("bpc"),
            "object": CONFIGURATION,
            "active": True,
            "application": None,
            "business_profile": profile | asked.get("business_profile", {}),
            "created": store.timestamp,
            "default_return_url": asked.get("default_return_url"),
            "features": _features(asked.get("features", {})),
            "is_default": is_default,
            "livemode": False,
            "login_page": {"enabled": False, "url": None},
            "metadata": merge_metadata({}, asked.get("metadata", {})),
            "name": asked.get("name"),
            "updated": store.timestamp,
        }
    )


def _features(asked: dict[str, Any]) -> dict[str, Any]:
    """Everything that the sandbox's page can do is on unless it is switched off."""

    def on(name: str) -> bool:
        return bool(asked.get(name, {}).get("enabled", True))

    cancel, update = asked.get("subscription_cancel", {}), asked.get("subscription_update", {})
    return {
        "customer_update": {"allowed_updates": [], "enabled": False},
        "invoice_history": {"enabled": on("invoice_history")},
        "payment_method_update": {"enabled": on("payment_method_update"), "payment_method_configuration": None},
        "subscription_cancel": {
            "cancellation_reason": {"enabled": False, "options": []},
            "enabled": on("subscription_cancel"),
            "mode": cancel.get("mode", "at_period_end"),
            "proration_behavior": cancel.get("proration_behavior", "none"),
        },
        "subscription_update": {
            "billing_cycle_anchor": None,
            "default_allowed_updates": ["price"] if on("subscription_update") else [],
            "enabled": on("subscription_update"),
            "proration_behavior": update.get("proration_behavior", "create_prorations"),
            "schedule_at_period_end": {"conditions": []},
            "trial_update_behavior": "end_trial",
        },
    }


def _create(call: Call) -> dict[str, Any]:
    params, store = call.params, call.store
    customer = require_customer(store, params["customer"])
    if "configuration" in params:
        configuration = store.find(CONFIGURATION, params["configuration"])
        if configuration is None:
            raise no_such("configuration", params["configuration"], param="configuration", status=400)
    else:
        configuration = default_configuration(store)
    session = {
        "id": new_id("bps"),
        "object": TYPE,
        "configuration": configuration.id,
        "created": store.timestamp,
        "customer": customer.id,
        "customer_account": None,
        "flow": _flow(params.get("flow_data")),
        "livemode": False,
        "locale": params.get("locale"),
        "on_behalf_of": None,
        "return_url": params.get("return_url", configuration.data["default_return_url"]),
        "url": None,
    }
    session["url"] = f"{store.base_url}/p/session/{session['id']}"
    store.insert(session)
    return session


def _flow(asked: dict[str, Any] | None) -> dict[str, Any] | None:
    if asked is None:
        return None
    after = {"hosted_confirmation": None, "redirect": None, "type": "portal_homepage"}
    return {
        "after_completion": after | asked.get("after_completion", {}),
        "subscription_cancel": _with_subscription(asked, "subscription_cancel", "retention"),
        "subscription_update": _with_subscription(asked, "subscription_update"),
        "subscription_update_confirm": None,
        "type": asked["type"],
    }


def _with_subscription(asked: dict[str, Any], name: str, *blank: str) -> dict[str, Any] | None:
    return {**dict.fromkeys(blank), **asked[name]} if name in asked else None


def _create_configuration(call: Call) -> dict[str, Any]:
    return make_configuration(call.store, call.params, is_default=False).data


def _update_configuration(call: Call) -> dict[str, Any]:
    stored = found(call, type=CONFIGURATION, param="configuration", lock=True)
    changes = dict(call.params)
    if "features" in changes:
        shown = _features(changes.pop("features"))
        stored.data["features"] |= {key: shown[key] for key in call.params["features"]}
    if "metadata" in changes:
        changes["metadata"] = merge_metadata(stored.data["metadata"], changes["metadata"])
    stored.data |= changes | {"updated": call.store.timestamp}
    call.store.save(stored)
    return stored.data


def _list_configurations(call: Call) -> dict[str, Any]:
    match = chosen(call.params, "active", "is_default")
    url = "/v1/billing_portal/configurations"
    return list_page(call.store, type=CONFIGURATION, url=url, params=call.params, match=match)


SWITCH = shape({"enabled": boolean()}, required=("enabled",))
OF_SUBSCRIPTION = shape({"subscription": text(max_length=255)}, required=("subscription",))
CONFIGURE: dict[str, Reader] = {
    "business_profile": shape({"headline": text(), "privacy_policy_url": url(), "terms_of_service_url": url()}),
    "default_return_url": url(),
    "features": shape(
        {
            "invoice_history": SWITCH,
            "payment_method_update": SWITCH,
            "subscription_cancel": shape(
                {
                    "enabled": boolean(),
                    "mode": one_of("at_period_end", "immediately"),
                    "proration_behavior": one_of("create_prorations", "none"),
                }
            ),
            "subscription_update": shape(
                {
                    "default_allowed_updates": array(one_of("price", "promotion_code", "quantity")),
                    "enabled": boolean(),
                    "proration_behavior": one_of("always_invoice", "create_prorations", "none"),
                }
            ),
        }
    ),
    "metadata": metadata(),
    "name": text(max_length=100),
}

OPERATIONS: tuple[Operation, ...] = (
    create(
        "/v1/billing_portal/sessions",
        _create,
        {
            "configuration": text(max_length=255),
            "customer": text(max_length=255),
            "flow_data": shape(
                {
                    "after_completion": shape(
                        {
                            "redirect": shape({"return_url": url()}, required=("return_url",)),
                            "type": one_of("hosted_confirmation", "portal_homepage", "redirect"),
                        }
                    ),
                    "subscription_cancel": OF_SUBSCRIPTION,
                    "subscription_update": OF_SUBSCRIPTION,
                    "type": one_of(*FLOWS),
                },
                required=("type",),
            ),
            "locale": one_of(*LOCALE_TAGS.split()),
            "return_url": url(),
        },
        required=("customer",),
    ),
    create("/v1/billing_portal/configurations", _create_configuration, CONFIGURE),
    create("/v1/billing_portal/configurations/<id>", _update_configuration, {**CONFIGURE, "active": boolean()}),
    retrieve("/v1/billing_portal/configurations/<id>", type=CONFIGURATION, param="configuration"),
    list_of("/v1/billing_portal/configurations", _list_configurations, {"active": boolean(), "is_default": boolean()}),
)
