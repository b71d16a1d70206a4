"""Minor units, smallest amounts, rounding and how a price reads."""

from decimal import ROUND_HALF_UP, Decimal

from webapp.stripe_sandbox.errors import StripeError

# https://docs.stripe.com/currencies#zero-decimal
WITHOUT_DECIMALS = frozenset(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga",
     "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf")
)  # fmt: skip
WITH_THREE_DECIMALS = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])
# https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts
SMALLEST = {
    "usd": 50, "aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250,
    "eur": 50, "gbp": 30, "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200,
    "nok": 300, "nzd": 50, "pln": 200, "ron": 200, "sek": 300, "sgd": 50, "thb": 1000,
}  # fmt: skip
SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "inr": "₹", "krw": "₩"}
LARGEST = 99_999_999


def decimals_of(currency: str) -> int:
    if currency in WITHOUT_DECIMALS:
        return 0
    return 3 if currency in WITH_THREE_DECIMALS else 2


def round_money(amount: Decimal, currency: str) -> int:
    """Half up to what can be charged: whole minor units, and tens of them where there are three decimals.

    https://docs.stripe.com/currencies#three-decimal
    """
    step = 10 if currency in WITH_THREE_DECIMALS else 1
    return int((amount / step).quantize(Decimal(1), ROUND_HALF_UP)) * step


def format_money(amount: int, currency: str, *, german: bool = False) -> str:
    """`1234` `eur` → `€12.34`, in German `12,34 €`; a currency without a sign of its own: `12.34 CHF`."""
    places = decimals_of(currency)
    whole, fraction = divmod(abs(amount), 10**places)
    digits = f"{whole:,}" + (f".{fraction:0{places}d}" if places else "")
    if german:
        digits = digits.translate(str.maketrans(",.", ".,"))
    sign = "-" if amount < 0 else ""
    symbol = SYMBOLS.get(currency)
    if symbol is None or german:
        return f"{sign}{digits}\N{NO-BREAK SPACE}{symbol or currency.upper()}"
    return f"{sign}{symbol}{digits}"


def require_chargeable(
    amount: int, currency: str, *, param: str, what: str = "The Checkout Session's total amount due"
) -> None:
    """Raises StripeError when Stripe would not charge so little or so much; 0 needs no charge."""
    smallest = SMALLEST.get(currency, 50 if decimals_of(currency) == 2 else 1)
    if 0 < amount < smallest:
        raise StripeError(
            f"{what} must add up to at least {format_money(smallest, currency)} {currency}",
            code="amount_too_small",
            param=param,
        )
    if amount > LARGEST:
        raise StripeError(
            f"{what} must be no more than {format_money(LARGEST, currency)}",
            code="amount_too_large",
            param=param,
        )
