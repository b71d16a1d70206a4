"""What entries and grants are called, in the reader's language."""

from flask import g
from flask_babel import get_translations, pgettext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp.account_words.plan_words import carried_over, plan_cause, plan_detail, plan_story
from webapp.account_words.reversal_words import in_full, in_short, reversal_of
from webapp.i18n.content import translate
from webapp.ledger import Entry, Grant, Hold

_TURNS = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C])

ROLLOVER = "rollover"  # as the ledger calls the source of what was carried over
KINDS = ("spend", "grant", "refund", "expire", "revoke", "restore")


_KINDS_SAID = {
    "spend": _l("Spent"),
    "grant": _l("Granted"),
    "purchase": _l("Bought"),
    "refund": _l("Returned"),
    "expire": _l("Expired"),
    "revoke": _l("Taken back"),
    "restore": _l("Restored"),
}


def kind_label(kind: str) -> str:
    """What happened, in one word."""
    return str(_KINDS_SAID.get(kind, kind))


_FEATURES = text("SELECT key, name FROM features ORDER BY position, key")


def feature_names(session: Session) -> dict[str, str]:
    """The name of every feature that there is or was, in the reader's language. One statement a request."""
    if "feature_names" not in g:
        g.feature_names = {key: translate("feature", key, name) for key, name in session.execute(_FEATURES)}
    names: dict[str, str] = g.feature_names
    return names


def feature_name(session: Session, key: str) -> str:
    return feature_names(session).get(key, key)


def entry_title(session: Session, entry: Entry) -> str:
    """What the entry was about: the feature, the package, or what happened."""
    if unlock := _unlock_of(entry):
        return _("Unlocked %(name)s", name=without_turns(translate("unlock", unlock, entry.description)))
    if entry.kind == "spend":
        name = feature_name(session, entry.feature) if entry.feature else entry.description
        return without_turns(name) or kind_label("spend")
    if entry.kind in ("purchase", "grant"):
        return grant_words(entry.description, of_purchase=entry.kind == "purchase") or kind_label(entry.kind)
    return kind_label(entry.kind)


def entry_detail(session: Session, entry: Entry) -> str:
    """The rest that helps to recognise it; may be empty. Written by people: to be escaped, as all text is."""
    if unlock := _unlock_of(entry):
        return "" if entry.reference == f"unlock:{unlock}" else without_turns(entry.reference or "")
    if entry.kind == "spend":
        return without_turns(entry.description if entry.feature else entry.reference or "")
    if entry.kind == "grant" and entry.about_seq:
        return _("Carried over")
    if cause := plan_cause(entry):
        return plan_detail(cause)
    if entry.kind in ("purchase", "grant"):
        return kind_label(entry.kind)
    if entry.kind == "expire":
        return grant_words(entry.description, of_purchase=None)
    reversal = reversal_of(entry)
    if reversal is not None:
        return in_short(reversal, bought=grant_words(reversal.bought, of_purchase=None))
    return _in_our_words(entry.description)


def _unlock_of(entry: Entry) -> str:
    """The key of what the entry unlocked; empty where it unlocked nothing."""
    key = (entry.pricing or {}).get("unlock") if entry.kind == "spend" else None
    return key if isinstance(key, str) else ""


def story_of(entry: Entry) -> str:
    """Why a plan gave credits, or why they followed money that went back; empty for any other entry."""
    if cause := plan_cause(entry):
        return plan_story(cause, plan=grant_words(entry.description, of_purchase=False))
    reversal = reversal_of(entry)
    return in_full(reversal, bought=grant_words(reversal.bought, of_purchase=None)) if reversal else ""


def grant_name(grant: Grant) -> str:
    """What a grant is called."""
    name = grant_words(grant.description, of_purchase=grant.source == "purchase") or kind_label("grant")
    return carried_over(name) if grant.source == ROLLOVER else name


def hold_name(session: Session, hold: Hold) -> str:
    """What the credits are reserved for."""
    name = feature_name(session, hold.feature) if hold.feature else hold.description
    return without_turns(name) or _("On hold")


def grant_words(description: str, *, of_purchase: bool | None) -> str:
    """A grant's description in the reader's language: a package's name, or one of our own texts; else as it is."""
    if not description:
        return ""
    if of_purchase or of_purchase is None:
        name = translate("package", "", description)
        if name != description or of_purchase:
            return without_turns(name)
    name = translate("plan", "", description)
    if name != description:
        return without_turns(name)
    return _in_our_words(description)


def _in_our_words(description: str) -> str:
    """Translated where it is a text of ours; itself where others wrote it."""
    return without_turns(str(get_translations().ugettext(description))) if description else ""


def without_turns(text: str) -> str:
    """Without the characters that turn the reading direction around: others wrote it, and it stands in our page.

    Nothing but blanks is nothing, so that whoever would show it says something else.
    """
    return text.translate(_TURNS).strip()


def shorten(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def actor_name(actor: str, *, own: str) -> str:
    """Who did it; `own` is how the ledger names the reader."""
    if actor == own:
        return pgettext("actor", "You")
    return str(_ACTORS_SAID.get(actor.partition(":")[0], actor))


_ACTORS_SAID = {
    "sign-up": _l("At sign-up"),
    "ledger": _l("By itself, when the time came"),
    "plan": _l("By itself, when the time came"),
    "stripe": _l("The payment service"),
    "billing": _l("The payment service"),
    "api": _l("The product, through its interface"),
    "key": _l("The product, through its interface"),
    "user": _l("Another person"),
    "portal": _l("Somebody whom the product sent"),
    "admin": _l("The operator"),
}
