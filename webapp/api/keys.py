"""Operator keys: who may call the API, for what, from where and until when."""

import hashlib
import hmac
import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from flask import current_app
from sqlalchemy import BigInteger, Connection, DateTime, Identity, Integer, LargeBinary, Text, or_, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, CIDR, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp import clock, ledger
from webapp.extensions import Base

SCOPES = ("accounts:read", "accounts:write", "credits:spend", "credits:grant", "checkout:write", "portal:write")
LIVE = "tsk_live_"
SANDBOX = "tsk_sandbox_"
DEMO_KEY = "tsk_sandbox_demo"
RATE_PER_MINUTE = 120_000
LAST_USED_EVERY = timedelta(minutes=1)

_ALPHABET = string.ascii_letters + string.digits
_SECRET_CHARACTERS = 40  # 238 bits: nothing to guess, so a plain fast hash is enough to store it by
_PREFIX_CHARACTERS = 8

Network = IPv4Network | IPv6Network


class ApiKey(Base):
    """One key. The secret is not in it: only its SHA-256."""

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(Text, default="")
    prefix: Mapped[str] = mapped_column(Text, unique=True)
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    ip_ranges: Mapped[list[Network]] = mapped_column(ARRAY(CIDR), default=list)
    rate_per_minute: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    last_used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


@dataclass(frozen=True, kw_only=True)
class KnownKey:
    """What a request needs to know of its key. `row_version` changes with whatever is changed about the key."""

    id: int
    row_version: str
    prefix: str
    scopes: frozenset[str]
    ip_ranges: tuple[Network, ...]
    rate_per_minute: int
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def works_at(self, moment: datetime) -> bool:
        """Neither revoked nor expired."""
        return (self.revoked_at is None or moment < self.revoked_at) and (
            self.expires_at is None or moment < self.expires_at
        )

    def works_from(self, address: IPv4Address | IPv6Address | None) -> bool:
        """The key is not limited to address ranges, or `address` lies in one of them."""
        if not self.ip_ranges:
            return True
        return address is not None and any(address in network for network in self.ip_ranges)

    def is_noted_at(self, moment: datetime) -> bool:
        """Whether `last_used_at` is as right as it needs to be."""
        return self.last_used_at is not None and moment <= self.last_used_at + LAST_USED_EVERY

    @property
    def unchanged(self) -> ledger.Condition:
        """That the key is still as it was when it was read."""
        return ledger.Condition(sql=_UNCHANGED, arguments={"key_id": self.id, "key_version": self.row_version})


class KeyNotFound(Exception):
    """No key, or more than one, goes by that prefix or id."""


def create_key(
    session: Session,
    *,
    name: str,
    scopes: Iterable[str],
    sandbox: bool,
    expires_at: datetime | None = None,
    ip_ranges: Iterable[str] = (),
    rate_per_minute: int = RATE_PER_MINUTE,
) -> tuple[ApiKey, str]:
    """A new key exists; returns it and its secret, which nobody can read again.

    Raises ValueError for an unknown scope or a malformed range; nothing was written then.
    """
    chosen = _known_scopes(scopes)
    start = SANDBOX if sandbox else LIVE
    secret = start + "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_CHARACTERS))
    key = ApiKey(
        name=name,
        prefix=secret[: len(start) + _PREFIX_CHARACTERS],
        secret_hash=hash_secret(secret),
        scopes=chosen,
        ip_ranges=[ip_network(given, strict=False) for given in ip_ranges],
        rate_per_minute=rate_per_minute,
        created_at=clock.now(),
        expires_at=expires_at,
    )
    session.add(key)
    session.flush()
    return key, secret


def rotate_key(session: Session, *, key: ApiKey, overlap: timedelta, sandbox: bool) -> tuple[ApiKey, str]:
    """A successor with the same rights exists, and `key` works for `overlap` longer, then no more."""
    ends_at = clock.now() + overlap
    successor, secret = create_key(
        session,
        name=key.name,
        scopes=key.scopes,
        sandbox=sandbox,
        expires_at=key.expires_at,
        ip_ranges=[str(network) for network in key.ip_ranges],
        rate_per_minute=key.rate_per_minute,
    )
    key.expires_at = ends_at if key.expires_at is None else min(key.expires_at, ends_at)
    return successor, secret


def revoke_key(session: Session, *, key: ApiKey) -> None:
    """The key is refused from the next request on. Repeated, it keeps its first moment."""
    session.execute(
        update(ApiKey).where(ApiKey.id == key.id, ApiKey.revoked_at.is_(None)).values(revoked_at=clock.now())
    )


def find_key(session: Session, *, prefix_or_id: str) -> ApiKey:
    """The key that a person names by its id, its prefix, the prefix's beginning, or itself. Raises KeyNotFound."""
    if prefix_or_id.isascii() and prefix_or_id.isdecimal() and len(prefix_or_id) < 19:
        key = session.get(ApiKey, int(prefix_or_id))
        found = [key] if key else []
    else:
        by_prefix = select(ApiKey).where(
            or_(
                ApiKey.prefix.startswith(prefix_or_id, autoescape=True),
                ApiKey.secret_hash == hash_secret(prefix_or_id),
            )
        )
        found = list(session.execute(by_prefix.limit(2)).scalars())
    exact = [key for key in found if key.prefix == prefix_or_id]
    if len(exact or found) != 1:
        raise KeyNotFound(prefix_or_id)
    return (exact or found)[0]


def list_keys(session: Session) -> list[ApiKey]:
    """All keys, oldest first."""
    return list(session.execute(select(ApiKey).order_by(ApiKey.id)).scalars())


def install_demo_key(session: Session) -> None:
    """`tsk_sandbox_demo` exists and may do everything. In sandbox mode only; repeatable.

    Raises RuntimeError outside sandbox mode; nothing was written then.
    """
    if not current_app.config["SANDBOX"]:
        raise RuntimeError("The demo key is public, so it exists in sandbox mode only.")
    session.execute(
        insert(ApiKey)
        .values(
            name="Demo",
            prefix=DEMO_KEY,
            secret_hash=hash_secret(DEMO_KEY),
            scopes=list(SCOPES),
            ip_ranges=[],
            rate_per_minute=RATE_PER_MINUTE,
            created_at=clock.now(),
        )
        .on_conflict_do_update(index_elements=["secret_hash"], set_={"scopes": list(SCOPES)})
    )


def hash_secret(secret: str) -> bytes:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode()).digest()


_UNCHANGED = "SELECT FROM api_keys WHERE id = :key_id AND xmin = CAST(CAST(:key_version AS text) AS xid)"
_FIND = text(
    "SELECT id, CAST(xmin AS text) AS row_version, prefix, secret_hash, scopes, ip_ranges, rate_per_minute, expires_at,"
    " revoked_at, last_used_at"
    " FROM api_keys WHERE secret_hash = :secret_hash"
)
_USED = text(
    "UPDATE api_keys SET last_used_at = :now WHERE id = :id AND (last_used_at IS NULL OR last_used_at < :before)"
)


def known_key(connection: Connection, *, secret: str) -> KnownKey | None:
    """The key with that secret, whatever its state; None when there is none. One statement, by the hash's index."""
    wanted = hash_secret(secret)
    row = connection.execute(_FIND, {"secret_hash": wanted}).one_or_none()
    if row is None or not hmac.compare_digest(bytes(row.secret_hash), wanted):
        return None
    return KnownKey(
        id=row.id,
        row_version=row.row_version,
        prefix=row.prefix,
        scopes=frozenset(row.scopes),
        ip_ranges=tuple(row.ip_ranges),
        rate_per_minute=row.rate_per_minute,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )


def note_use(connection: Connection, *, key: KnownKey, moment: datetime) -> None:
    """`last_used_at` is right to within a minute, at the cost of one write a minute."""
    if not key.is_noted_at(moment):
        connection.execute(_USED, {"id": key.id, "now": moment, "before": moment - LAST_USED_EVERY})


def _known_scopes(scopes: Iterable[str]) -> list[str]:
    chosen = list(dict.fromkeys(scopes))
    unknown = [scope for scope in chosen if scope not in SCOPES]
    if unknown or not chosen:
        raise ValueError(f"Unknown scopes {', '.join(unknown) or '(none given)'}; there are {', '.join(SCOPES)}.")
    return chosen
