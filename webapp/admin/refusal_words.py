"""What the ledger refuses, said to somebody at the admin pages."""

from flask_babel import gettext as _
from flask_babel import ngettext

from webapp.admin.acts import Refused
from webapp.i18n.formats import credits_number
from webapp.ledger import (
    ExceedsGrant,
    ExceedsSpend,
    HoldClosed,
    InsufficientCredits,
    InvalidRequest,
    LedgerRefusal,
)


def refused(refusal: LedgerRefusal, *, field: str = "") -> Refused:
    """The refusal of an act, in the reader's language, about that field of its form."""
    if isinstance(refusal, InsufficientCredits):
        return only_so_many(refusal.available, field=field)
    if isinstance(refusal, ExceedsSpend):
        return Refused(_left_of_spend(refusal.left), field=field)
    if isinstance(refusal, ExceedsGrant):
        return Refused(_size_of_grant(refusal.data["amount"]), field=field)
    if isinstance(refusal, HoldClosed):
        return Refused(_("The hold has ended."), field=field)
    if isinstance(refusal, InvalidRequest):
        return Refused(_("The ledger does not take this: %(detail)s", detail=str(refusal)), field=field)
    return Refused(_("The ledger refuses it: %(detail)s", detail=str(refusal)), field=field)


def only_so_many(available: int, *, field: str = "") -> Refused:
    """More was to be taken than there is."""
    said = ngettext(
        "Only %(number)s credit is there.",
        "Only %(number)s credits are there.",
        available,
        number=credits_number(available),
    )
    return Refused(said, field=field)


def _left_of_spend(left: int) -> str:
    said: str = ngettext(
        "Of this spend %(number)s credit is left to give back.",
        "Of this spend %(number)s credits are left to give back.",
        left,
        number=credits_number(left),
    )
    return said


def _size_of_grant(amount: int) -> str:
    said: str = ngettext(
        "The grant has no more than %(number)s credit.",
        "The grant has no more than %(number)s credits.",
        amount,
        number=credits_number(amount),
    )
    return said
