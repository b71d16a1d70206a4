"""How often somebody may try, and by what they are told apart."""

import hashlib
import ipaddress
from typing import Any

from flask import g, request
from flask_login import current_user

from webapp.extensions import limiter
from webapp.people.email_address import email_key


def network() -> str:
    """The address that asks; of IPv6 the /64 that one household has all of."""
    try:
        address = ipaddress.ip_address((request.remote_addr or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, 64), strict=False).network_address)


def email() -> str:
    """The address in the form, in a shape that suits a key of Redis."""
    return hashlib.sha256(email_key(request.form.get("email", "")[:1_000]).encode("utf-8", "replace")).hexdigest()


def network_and_email() -> str:
    return f"{network()}:{email()}"


def who() -> str:
    """The signed-in person, or else the network."""
    return str(current_user.id) if current_user.is_authenticated else network()


def note_taken_address() -> None:
    """This answer says that somebody has an account; few of them a network may get."""
    g.said_address_is_taken = True


def _said_address_is_taken(_response: Any) -> bool:
    return bool(g.get("said_address_is_taken"))


_posts = ["POST"]
log_in_by_network = limiter.limit("60/minute;600/hour", key_func=network, methods=_posts)
log_in_by_email = limiter.limit("10/minute;60/hour", key_func=network_and_email, methods=_posts)
sign_up_by_network = limiter.limit("30/hour", key_func=network, methods=_posts)
sign_up_by_email = limiter.limit("10/minute;60/hour", key_func=network_and_email, methods=_posts)
taken_addresses = limiter.limit("5/hour", key_func=network, methods=_posts, deduct_when=_said_address_is_taken)
forgotten_by_network = limiter.limit("20/hour", key_func=network, methods=_posts)
forgotten_by_email = limiter.limit("5/hour", key_func=email, methods=_posts)
resets_by_network = limiter.limit("30/hour", key_func=network, methods=_posts)
password_changes = limiter.limit("10/minute;60/hour", key_func=who, methods=_posts)
confirmations_by_network = limiter.limit("60/hour", key_func=network, methods=_posts)
portal_links = limiter.limit("120/minute", key_func=network, methods=_posts)
confirmation_mails = limiter.limit("5/hour", key_func=who, methods=_posts)
exports = limiter.limit("20/hour", key_func=who)
