"""States of payments, subscriptions, disputes and events, as people at the admin pages read them."""

from collections.abc import Mapping, Sequence

from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext

# NOTE: The states of a purchase, or of the order of a plan.
PURCHASE_STATES: Mapping[str, object] = {
    "new": _l("Not begun at Stripe"),
    "open": _l("On the pay page"),
    "pending": _l("Payment on its way"),
    "fulfilled": _l("Paid and credited"),
    "failed": _l("Payment failed"),
    "expired": _l("Never paid"),
    "parked": _l("Needs a person"),
}

SUBSCRIPTION_STATES: Mapping[str, object] = {
    "trialing": lazy_pgettext("subscription", "On trial"),
    "active": lazy_pgettext("subscription", "Active"),
    "past_due": lazy_pgettext("subscription", "Payment overdue"),
    "unpaid": lazy_pgettext("subscription", "Unpaid"),
    "canceled": lazy_pgettext("subscription", "Ended"),
    "incomplete": lazy_pgettext("subscription", "First payment missing"),
    "incomplete_expired": lazy_pgettext("subscription", "Never paid"),
    "paused": lazy_pgettext("subscription", "Paused"),
}

INVOICE_STATES: Mapping[str, object] = {
    "draft": lazy_pgettext("invoice", "Draft"),
    "open": lazy_pgettext("invoice", "Open"),
    "paid": lazy_pgettext("invoice", "Paid"),
    "uncollectible": lazy_pgettext("invoice", "Given up"),
    "void": lazy_pgettext("invoice", "Void"),
}

# https://docs.stripe.com/api/invoices/object#invoice_object-billing_reason
INVOICE_REASONS: Mapping[str, object] = {
    "subscription_create": _l("First period"),
    "subscription_cycle": _l("Renewal"),
    "subscription_update": _l("Change of plan"),
    "manual": _l("Made by hand"),
}

DISPUTE_STATES: Mapping[str, object] = {
    "asked": lazy_pgettext("dispute", "The bank asks; nothing is frozen"),
    "open": lazy_pgettext("dispute", "Open; credits frozen"),
    "lost": lazy_pgettext("dispute", "Lost; credits taken"),
    "over": lazy_pgettext("dispute", "Over; the money is ours"),
    "parked": lazy_pgettext("dispute", "Needs a person; credits frozen"),
}

# https://docs.stripe.com/disputes/categories
DISPUTE_REASONS: Mapping[str, object] = {
    "fraudulent": _l("Said not to be theirs"),
    "duplicate": _l("Said to be charged twice"),
    "product_not_received": _l("Said not to be received"),
    "product_unacceptable": _l("Said to be unacceptable"),
    "subscription_canceled": _l("Said to be cancelled before"),
    "credit_not_processed": _l("Said to be owed a refund"),
    "unrecognized": _l("Not recognised"),
    "general": _l("No reason given"),
}

EVENT_STATES: Mapping[str, object] = {
    "received": lazy_pgettext("event", "Waiting"),
    "handled": lazy_pgettext("event", "Handled"),
    "ignored": lazy_pgettext("event", "Not for us"),
    "parked": lazy_pgettext("event", "Needs a person"),
}

REFUND_STATES: Mapping[str, object] = {
    "new": lazy_pgettext("refund", "Being asked of Stripe"),
    "refused": lazy_pgettext("refund", "Refused by Stripe"),
    "pending": lazy_pgettext("refund", "On its way"),
    "requires_action": lazy_pgettext("refund", "Waits for the buyer"),
    "succeeded": lazy_pgettext("refund", "Given back"),
    "failed": lazy_pgettext("refund", "Did not arrive"),
    "canceled": lazy_pgettext("refund", "Called off"),
}


def options(words: Mapping[str, object]) -> Sequence[tuple[str, object]]:
    """For a filter."""
    return list(words.items())


def said(words: Mapping[str, object], state: str) -> str:
    """The words for the state; one that Stripe has made up since then as it stands."""
    return str(words.get(state, state))
