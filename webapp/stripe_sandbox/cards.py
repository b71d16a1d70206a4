"""Stripe's test cards, and what happens to each: https://docs.stripe.com/testing"""

from dataclasses import dataclass
from typing import Literal

CVC = ("incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect.")


@dataclass(frozen=True)
class Card:
    number: str
    what: str  # as the pay page's list names it
    brand: str = "visa"
    funding: str = "credit"
    decline: tuple[str, str, str] | None = None  # code, decline_code, message
    attachable: bool = True  # whether it can be saved although it declines
    authentication: Literal["never", "once", "always"] = "never"  # `once`: not any more after it was set up
    dispute: str | None = None  # the reason of the dispute that follows a charge
    refund: Literal["succeeds", "settles", "fails"] = "succeeds"

    @property
    def last4(self) -> str:
        return self.number[-4:]

    @property
    def fingerprint(self) -> str:
        return f"sandbox{self.number[-9:]}"

    def shown(self) -> dict[str, str]:
        return {"last4": self.last4, "brand": self.brand, "fingerprint": self.fingerprint, "funding": self.funding}


def _declined(number: str, what: str, decline_code: str, message: str = "", *, attachable: bool = False) -> Card:
    decline = ("card_declined", decline_code, message or "Your card was declined.")
    return Card(number, what, decline=decline, attachable=attachable)


_ALL = (
    Card("4242424242424242", "Visa, succeeds"),
    Card("4000056655665556", "Visa debit, succeeds", funding="debit"),
    Card("5555555555554444", "Mastercard, succeeds", brand="mastercard"),
    Card("378282246310005", "American Express, succeeds", brand="amex"),
    _declined("4000000000000002", "declined", "generic_decline"),
    _declined("4000000000009995", "insufficient funds", "insufficient_funds", "Your card has insufficient funds."),
    _declined("4000000000009987", "lost", "lost_card"),
    _declined("4000000000009979", "stolen", "stolen_card"),
    Card(
        "4000000000000069", "expired", decline=("expired_card", "expired_card", "Your card has expired."),
        attachable=False,
    ),
    Card("4000000000000127", "wrong security code", decline=CVC, attachable=False),
    Card(
        "4000000000000119", "processing error", attachable=False,
        decline=(
            "processing_error", "processing_error",
            "An error occurred while processing your card. Try again in a little bit.",
        ),
    ),
    _declined("4000000000000341", "can be saved, every charge is declined", "generic_decline", attachable=True),
    Card("4000002500003155", "3-D Secure until it is saved", authentication="once"),
    Card("4000002760003184", "3-D Secure every time", authentication="always"),
    Card("4000000000000259", "succeeds, then disputed as fraudulent", dispute="fraudulent"),
    Card("4000000000002685", "succeeds, then disputed as not received", dispute="product_not_received"),
    Card("4000000000007726", "succeeds, refunds wait first", refund="settles"),
    Card("4000000000005126", "succeeds, refunds fail later", refund="fails"),
)  # fmt: skip
CARDS = {card.number: card for card in _ALL}
GOOD, DECLINED = _ALL[0], CARDS["4000000000000002"]

# https://docs.stripe.com/testing?testing-method=payment-methods
TOKENS = {
    "pm_card_visa": GOOD,
    "pm_card_visa_debit": CARDS["4000056655665556"],
    "pm_card_mastercard": CARDS["5555555555554444"],
    "pm_card_amex": CARDS["378282246310005"],
    "pm_card_visa_chargeDeclined": DECLINED,
    "pm_card_chargeDeclined": DECLINED,
    "pm_card_visa_chargeDeclinedInsufficientFunds": CARDS["4000000000009995"],
    "pm_card_visa_chargeDeclinedLostCard": CARDS["4000000000009987"],
    "pm_card_visa_chargeDeclinedStolenCard": CARDS["4000000000009979"],
    "pm_card_chargeDeclinedExpiredCard": CARDS["4000000000000069"],
    "pm_card_chargeDeclinedIncorrectCvc": CARDS["4000000000000127"],
    "pm_card_chargeDeclinedProcessingError": CARDS["4000000000000119"],
    "pm_card_chargeCustomerFail": CARDS["4000000000000341"],
    "pm_card_authenticationRequiredOnSetup": CARDS["4000002500003155"],
    "pm_card_authenticationRequired": CARDS["4000002760003184"],
    "pm_card_createDispute": CARDS["4000000000000259"],
    "pm_card_createDisputeProductNotReceived": CARDS["4000000000002685"],
    "pm_card_pendingRefund": CARDS["4000000000007726"],
    "pm_card_refundFail": CARDS["4000000000005126"],
}


def find_card(number: str) -> Card | None:
    """The test card with this number, however it is spaced."""
    return CARDS.get(number.replace(" ", "").replace("-", ""))
