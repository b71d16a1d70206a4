"""A language that nobody speaks: every marked text in brackets and accents, so that what is not marked stands out.

In sandbox mode a cookie asks for it. What comes out still reads as English, is a third longer, and keeps placeholders
and tags, so it also shows where a longer language would break a layout.
"""

import re

from flask import current_app, has_request_context, request

from webapp.i18n.texts import Texts

COOKIE = "pseudo"
OPEN, CLOSE = "⟦", "⟧"
_KEEP = re.compile(r"(%(?:\(\w+\))?[sd%]|</?[a-zA-Z][^>]*>|&\w+;|\s+)")
_ACCENTS = str.maketrans("aeiouyAEIOUYcnsz", "áéíóúýÁÉÍÓÚÝçñšž")


def wanted() -> bool:
    """Whether this request asks for it; never outside sandbox mode."""
    asked = has_request_context() and request.cookies.get(COOKIE) == "1"
    return asked and bool(current_app.config.get("SANDBOX"))


def pseudo(text: str) -> str:
    """`text` with accents, a third longer, in brackets; placeholders and tags as they are."""
    if not text:
        return text
    parts = _KEEP.split(text)
    words = "".join(part if _KEEP.fullmatch(part) else part.translate(_ACCENTS) for part in parts)
    return f"{OPEN}{words}{'·' * (len(text) // 3)}{CLOSE}"


class PseudoTranslations(Texts):
    """Every text of English, made conspicuous."""

    def gettext(self, message: str) -> str:
        return pseudo(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return pseudo(msgid1 if n == 1 else msgid2)

    def pgettext(self, context: str, message: str) -> str:
        return pseudo(message)

    def npgettext(self, context: str, singular: str, plural: str, num: int) -> str:
        return pseudo(singular if num == 1 else plural)

    ugettext = gettext
    ungettext = ngettext
    upgettext = pgettext
    unpgettext = npgettext


TRANSLATIONS = PseudoTranslations()
