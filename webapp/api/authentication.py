"""Whose key is on the request, and may it be used here and now?"""

from ipaddress import IPv4Address, IPv6Address, ip_address

from flask import current_app, request
from flask_babel import gettext as _
from sqlalchemy import Connection

from webapp import clock
from webapp.api.kept import kept
from webapp.api.keys import SANDBOX, KnownKey, hash_secret, known_key, note_use
from webapp.api.problems import Problem

LONGEST_SECRET = 128


def authenticate(connection: Connection) -> KnownKey:
    """The key of the request, looked up anew each time: a revoked one is refused from the next request on.

    Only the Authorization header counts, never a cookie. Raises 401 for a key that is missing, unknown, expired,
    revoked or of the sandbox outside of it, and 403 for one that may not be used from the caller's address.
    """
    secret = _secret_in(request.headers.get("Authorization", ""))
    if secret is None:
        raise _unauthorized(_("Send an API key: Authorization: Bearer tsk_…"), error=None)
    if len(secret) > LONGEST_SECRET or not secret.isascii():
        raise _unauthorized(_("The API key is not valid."))
    if secret.startswith(SANDBOX) and not current_app.config["SANDBOX"]:
        raise _unauthorized(_("Keys of the sandbox work in sandbox mode only."))
    key = known_key(connection, secret=secret)
    moment = clock.now()
    if key is None or not key.works_at(moment):
        raise _unauthorized(_("The API key is not valid."))
    if not key.works_from(_address(request.remote_addr)):
        raise Problem(403, "address_not_allowed", _("This API key may not be used from your address."))
    note_use(connection, key=key, moment=moment)
    kept().keys.put(hash_secret(secret), key)
    return key


def kept_key(*, authorization: str, address: str | None) -> KnownKey | None:
    """The key in that header as this process read it lately, if that would do; None: ask `authenticate`.

    To be relied on only where the statement that writes has `key.unchanged` as a condition.
    """
    secret = _secret_in(authorization)
    key = None if secret is None or len(secret) > LONGEST_SECRET else kept().keys.get(hash_secret(secret))
    moment = clock.now()
    if key is None or not (key.works_at(moment) and key.works_from(_address(address)) and key.is_noted_at(moment)):
        return None
    return key


def _secret_in(authorization: str) -> str | None:
    """What the header has for a secret, whatever it is worth."""
    scheme, _space, secret = authorization.strip().partition(" ")
    return (secret.strip() or None) if scheme.lower() == "bearer" else None


def require_scope(key: KnownKey, *, scopes: tuple[str, ...]) -> None:
    """The key has one of `scopes`, or none is asked for. Raises 403 `missing_scope`."""
    if scopes and not key.scopes.intersection(scopes):
        detail = _("This API key lacks the scope %(scope)s.", scope=scopes[0])
        challenge = f'Bearer realm="Tallystick", error="insufficient_scope", scope="{scopes[0]}"'
        raise Problem(403, "missing_scope", detail, headers={"WWW-Authenticate": challenge}, scope=scopes[0])


def _unauthorized(detail: str, *, error: str | None = "invalid_token") -> Problem:
    challenge = 'Bearer realm="Tallystick"' + (f', error="{error}"' if error else "")
    return Problem(401, "unauthorized", detail, headers={"WWW-Authenticate": challenge})


def _address(given: str | None) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(given or "")
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
