"""Who pays a Checkout Session and with what."""

from dataclasses import dataclass
from typing import Any, Literal

from webapp.stripe_sandbox.cards import GOOD, find_card
from webapp.stripe_sandbox.charging import Decline, cancel_intent
from webapp.stripe_sandbox.errors import StripeError
from webapp.stripe_sandbox.resources.customers import make_customer
from webapp.stripe_sandbox.resources.payment_intents import make_payment_intent
from webapp.stripe_sandbox.resources.payment_methods import blank_billing, delayed_type, make_payment_method
from webapp.stripe_sandbox.resources.setup_intents import OPEN, cancel_setup_intent
from webapp.stripe_sandbox.store import Store, Stored


@dataclass(frozen=True)
class Buyer:
    """What the pay page's form says."""

    email: str | None
    card: str = ""  # a test card's number or a saved method's id; empty: a card that succeeds
    delayed: bool = False
    fails_later: bool = False
    authenticated: bool = False
    refused: Decline | None = None  # declines whatever the card says
    saves_card: bool = False  # ticked the box, where the session has one


@dataclass(frozen=True)
class Outcome:
    kind: Literal["complete", "declined", "authenticate"]
    payment_status: str = "unpaid"
    message: str = ""

    @property
    def complete(self) -> bool:
        return self.kind == "complete"


def identify_buyer(store: Store, session: Stored, buyer: Buyer, *, final: bool = True, always: bool = False) -> None:
    """Who pays is on the session; a customer is made where the session says `always`, or must have one."""
    data = session.data
    known = store.find("customer", data["customer"]) if data["customer"] else None
    address = (known.data["email"] if known else data["customer_email"]) or buyer.email
    data["customer_details"] = buyer_details(email=address, known=known)
    if final and known is None and (always or data["customer_creation"] == "always"):
        data["customer"] = make_customer(store, {"email": address} if address else {})["id"]


def buyer_details(*, email: str | None, known: Stored | None) -> dict[str, Any]:
    """`customer_details` of a session."""
    return {
        "address": None,
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": known.data["name"] if known else None,
        "phone": None,
        "tax_exempt": known.data["tax_exempt"] if known else "none",
        "tax_ids": None,
    }


def method_of(store: Store, session: Stored, buyer: Buyer) -> Stored:
    """The saved method that was chosen, or a new one of the card. Raises StripeError for neither."""
    if buyer.card.startswith("pm_"):
        saved = store.lock("payment_method", buyer.card)
        if saved is None or saved.data["customer"] is None or saved.data["customer"] != session.data["customer"]:
            raise StripeError("This saved card is not one of yours.")
        return saved
    card = find_card(buyer.card) if buyer.card else GOOD
    if card is None:
        raise StripeError("Your card number is incorrect.", status=402, type="card_error", code="incorrect_number")
    return make_payment_method(
        store, card=card, billing=_billing(session), redisplay=_redisplay(session, saves_card=buyer.saves_card)
    )


def _redisplay(session: Stored, *, saves_card: bool) -> str:
    """Whether pay pages may offer the card again: https://support.stripe.com/questions/prefilling-saved-cards-in-checkout"""
    asked = session.private.get("payment_method_data", {}).get("allow_redisplay")
    if asked:
        return str(asked)
    if saves_card or session.data["mode"] == "setup":
        return "always"
    kept = session.data["mode"] == "subscription" or "setup_future_usage" in session.private["payment_intent_data"]
    return "limited" if kept else "unspecified"


def offers_saving(session: dict[str, Any]) -> bool:
    """Whether the pay page has a box by which the buyer keeps the card."""
    options = session["saved_payment_method_options"] or {}
    return session["mode"] != "setup" and options.get("payment_method_save") == "enabled"


def delayed_method(store: Store, session: Stored) -> Stored:
    kind = delayed_type(session.data["currency"] or "")
    return make_payment_method(store, type=kind, billing=_billing(session))


def intent_of(store: Store, session: Stored) -> Stored:
    """The session's payment intent, locked; made at the first attempt."""
    data = session.data
    id = data["payment_intent"] or session.private.get("intent")
    if id is not None:
        intent = store.require("payment_intent", id)
        intent.data["customer"] = data["customer"]
        return intent
    intent = make_payment_intent(
        store,
        amount=data["amount_total"],
        currency=data["currency"],
        customer=data["customer"],
        method_types=data["payment_method_types"],
        asked=session.private["payment_intent_data"],
        private={"session": session.id},
    )
    if data["mode"] == "payment":
        data["payment_intent"] = intent.id
    session.private["intent"] = intent.id
    return intent


def close_intent(store: Store, session: Stored, *, reason: str) -> None:
    """The session's intents that lead to nothing any more are canceled."""
    if "intent" in session.private:
        intent = store.require("payment_intent", session.private["intent"])
        if intent.data["status"] not in ("succeeded", "canceled", "processing"):
            cancel_intent(store, intent, reason=reason)
    if session.data["setup_intent"] is not None:
        setup = store.require("setup_intent", session.data["setup_intent"])
        if setup.data["status"] in OPEN:
            cancel_setup_intent(store, setup, reason=None)


def _billing(session: Stored) -> dict[str, Any]:
    details = session.data["customer_details"] or {}
    return blank_billing() | {"email": details.get("email"), "name": details.get("name")}
