"""What was paid for credits that were bought, in words."""

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from webapp.billing.purchase import Purchase
from webapp.i18n.formats import money
from webapp.ledger import Entry

_MOST = 2**63 - 1


def paid_words(session: Session, entry: Entry) -> str:
    """What came for the purchase that the entry granted; empty where that is not known, or it is another entry."""
    purchase = _purchase_of(session, entry)
    if purchase is None or purchase.paid_minor is None:
        return ""
    price, paid = (money(minor, purchase.currency) for minor in (purchase.price_minor, purchase.paid_minor))
    if purchase.paid_minor == 0:
        return _("You paid nothing: your promotion code was worth the price of %(price)s.", price=price)
    if purchase.tax_minor:
        tax = money(purchase.tax_minor, purchase.currency)
        return _("You paid %(paid)s, %(tax)s of it taxes.", paid=paid, tax=tax)
    if purchase.paid_minor < purchase.price_minor:
        return _("You paid %(paid)s instead of %(price)s.", paid=paid, price=price)
    return _("You paid %(paid)s.", paid=paid)


def _purchase_of(session: Session, entry: Entry) -> Purchase | None:
    number = (entry.metadata or {}).get("purchase") if entry.kind == "purchase" else None
    if type(number) is not int or not 0 < number <= _MOST:
        return None
    purchase = session.get(Purchase, number)
    fits = purchase is not None and (purchase.account_id, purchase.grant_id) == (entry.account_id, entry.seq)
    return purchase if fits else None
