"""What the ledger refuses, said to somebody at the admin pages."""

from flask_babel import gettext as _

from webapp.admin.acts import Refused
from webapp.i18n.formats import credits_number
from webapp.ledger import InsufficientCredits, InvalidRequest, LedgerRefusal


def refused(refusal: LedgerRefusal) -> Refused:
    """The refusal of an act, in the reader's language."""
    if isinstance(refusal, InsufficientCredits):
        return Refused(_("Only %(number)s credits are there.", number=credits_number(refusal.available)))
    if isinstance(refusal, InvalidRequest):
        return Refused(_("The ledger does not take this: %(detail)s", detail=str(refusal)))
    return Refused(_("The ledger refuses it: %(detail)s", detail=str(refusal)))
