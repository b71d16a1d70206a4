"""Roles as people read them."""

from collections.abc import Mapping

from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext

# What each is called, and what it is for.
ROLE_WORDS: Mapping[str, tuple[object, object]] = {
    "owner": (lazy_pgettext("role", "Owner"), _l("Everything, and who has a role.")),
    "finance": (lazy_pgettext("role", "Finance"), _l("Accounts, money, the catalog, reports and jobs.")),
    "support": (
        lazy_pgettext("role", "Support"),
        _l("Reads accounts and purchases, and gives few credits a day."),
    ),
    "translator": (lazy_pgettext("role", "Translator"), _l("Translations, and nothing else.")),
}
