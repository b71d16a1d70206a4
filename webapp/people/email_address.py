"""Email addresses as people write them, and the key by which two of them are the same."""

import unicodedata
from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

MOST_CHARACTERS = 254  # RFC 5321, 4.5.3.1.3, less the angle brackets


class BadEmail(Exception):
    """Not an address that mail could reach; `reason` is `missing`, `too_long` or `malformed`."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True)
class EmailAddress:
    """`text` is where mail goes; `key` is equal for addresses that differ only in case or width."""

    text: str
    key: str


def parse_email(raw: str) -> EmailAddress:
    """The address that `raw` holds, without asking any name server. Raises BadEmail."""
    raw = raw.strip(" \t\r\n")
    if not raw:
        raise BadEmail("missing")
    if len(raw) > MOST_CHARACTERS:
        raise BadEmail("too_long")
    if any(unicodedata.category(character)[0] in "CZ" for character in raw):
        raise BadEmail("malformed")
    try:
        normalized = validate_email(raw, check_deliverability=False).normalized
    except (EmailNotValidError, UnicodeError):
        raise BadEmail("malformed") from None
    if len(normalized) > MOST_CHARACTERS:
        raise BadEmail("too_long")
    return EmailAddress(normalized, email_key(normalized))


def email_key(text: str) -> str:
    """Equal for addresses that a person would call the same."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text.strip()).casefold())
