"""Passwords: argon2id, in time that tells nobody whether an address is known."""

import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

FEWEST_CHARACTERS = 10
MOST_CHARACTERS = 200

_hasher = PasswordHasher()  # argon2id with the library's parameters (RFC 9106, low memory)


class BadPassword(Exception):
    """Not acceptable as a new password; `reason` is `too_short`, `too_long`, `same_as_email` or `malformed`."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def hash_password(password: str, *, email: str = "") -> str:
    """The argon2id hash of a new password. Raises BadPassword."""
    return _hasher.hash(check_new_password(password, email=email))


def check_new_password(password: str, *, email: str = "") -> str:
    """The password as it is hashed. Raises BadPassword when it will not do as a new one."""
    prepared = _prepare(password)
    if len(prepared) < FEWEST_CHARACTERS:
        raise BadPassword("too_short")
    if len(prepared) > MOST_CHARACTERS:
        raise BadPassword("too_long")
    if email and prepared.casefold() == email.casefold():
        raise BadPassword("same_as_email")
    if any(unicodedata.category(character) == "Cs" for character in prepared):
        raise BadPassword("malformed")
    return prepared


def password_matches(password_hash: str | None, password: str) -> bool:
    """Whether it is the password. Without a hash it takes as long, and the answer is no."""
    prepared = _prepare(password)
    fits = len(prepared) <= MOST_CHARACTERS
    try:
        matches = _hasher.verify(password_hash or _hash_of_nobody(), prepared if fits else "")
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False
    return matches and fits and password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(password_hash)


def rehash(password: str) -> str:
    """Today's hash of a password that was just found to match."""
    return _hasher.hash(_prepare(password))


@cache
def _hash_of_nobody() -> str:
    return _hasher.hash("the password of nobody")


def _prepare(password: str) -> str:
    """The same characters whichever keyboard composed them (NIST SP 800-63B, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)
