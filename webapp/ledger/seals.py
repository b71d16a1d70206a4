"""Sealing: what every account's newest entry was, under an HMAC whose key is not in the database.

Whoever owns the database can rewrite a whole chain of hashes so that it agrees with itself. It then no longer agrees
with the heads that were sealed, and without the key nobody can seal others in their place.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from sqlalchemy import RowMapping, text
from sqlalchemy.orm import Session

from webapp.ledger.call import call, call_all

HEADS_A_SEAL = 100_000


class SealKeys:
    """The keys that seals were made with, by their ids; the first one makes new ones."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._by_id = {key_id(key): key.encode() for key in keys}

    @classmethod
    def parse(cls, raw: str) -> Self:
        """From `LEDGER_SEAL_KEY`: one key, or several with commas between, the newest first."""
        return cls(word.strip() for word in raw.split(",") if word.strip())

    @property
    def newest(self) -> str:
        """The id of the key that new seals are made with. Raises LookupError when there is no key."""
        return next(iter(self._by_id), None) or _no_key()

    def __contains__(self, key_id: str) -> bool:
        return key_id in self._by_id

    def sign(self, key_id: str, message: bytes) -> bytes:
        return hmac.digest(self._by_id[key_id], message, "sha256")


def _no_key() -> str:
    raise LookupError("there is no key to seal with")


def key_id(key: str) -> str:
    """Names a key without telling it."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Seal:
    """One seal over the heads of `accounts` accounts; `previous` is the hmac of the one before, or empty."""

    number: int
    sealed_at: datetime
    accounts: int
    digest: bytes
    previous: bytes
    hmac: bytes = field(default=b"")
    key_id: str

    def message(self) -> bytes:
        """What the HMAC covers: a JSON array of number, time in UTC, accounts, digest and previous, bytes as hex."""
        moment = self.sealed_at.astimezone(UTC).isoformat()
        return json.dumps([self.number, moment, self.accounts, self.digest.hex(), self.previous.hex()]).encode()

    def as_line(self) -> str:
        """As the exported file has it: one JSON object, without the line's end."""
        values = asdict(self) | {"sealed_at": self.sealed_at.astimezone(UTC).isoformat()}
        return json.dumps({name: v.hex() if isinstance(v, bytes) else v for name, v in values.items()})

    @classmethod
    def of_line(cls, line: str) -> Self:
        """Raises ValueError for a line that no seal was written as."""
        try:
            values = json.loads(line)
            values["sealed_at"] = datetime.fromisoformat(values["sealed_at"])
            values |= {name: bytes.fromhex(values[name]) for name in ("digest", "previous", "hmac")}
            return cls(**values)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not a seal: {line[:80]!r}") from error


class HeadsDigest:
    """The digest of a seal: sha256 over a line `account_id:seq:head in hex` for each head, by account_id."""

    def __init__(self) -> None:
        self.heads = 0
        self._hash = hashlib.sha256()

    def add(self, account_id: int, seq: int, head: bytes) -> None:
        self.heads += 1
        self._hash.update(f"{account_id}:{seq}:{head.hex()}\n".encode())

    def digest(self) -> bytes:
        return self._hash.digest()


def seal(session: Session, *, keys: SealKeys, after: int = 0, limit: int = HEADS_A_SEAL) -> tuple[Seal | None, int]:
    """The heads of up to `limit` accounts after `after` that have changed since their last seal are sealed.

    Returns the seal, None when none had changed, and the id of the last account that it covers, 0 when there may be
    no more. Sealers at the same time take turns: the row of the sealer is locked until the unit of work ends. No
    account is locked: whatever is committed later is for the next seal.
    """
    begun = call(session, text("SELECT * FROM ledger.begin_seal()"), {})
    heads = sorted(
        (row["account_id"], row["seq"], bytes(row["head"]))
        for row in call_all(
            session,
            text("SELECT * FROM ledger.seal_heads(:number, :after, :limit)"),
            {"number": begun["number"], "after": after, "limit": limit},
        )
    )
    if not heads:
        return None, 0
    digest = HeadsDigest()
    for head in heads:
        digest.add(*head)
    made = _signed(keys, begun, digest)
    session.execute(
        text("SELECT ledger.finish_seal(:number, :sealed_at, :accounts, :digest, :previous, :hmac, :key_id)"),
        asdict(made),
    )
    return made, heads[-1][0] if len(heads) == limit else 0


def _signed(keys: SealKeys, begun: RowMapping, digest: HeadsDigest) -> Seal:
    values: dict[str, Any] = {
        "number": begun["number"],
        "sealed_at": begun["sealed_at"],
        "accounts": digest.heads,
        "digest": digest.digest(),
        "previous": bytes(begun["previous"]),
        "key_id": keys.newest,
    }
    return Seal(**values, hmac=keys.sign(keys.newest, Seal(**values).message()))


def sealed_all(session: Session, *, began: datetime) -> None:
    """A round over all accounts that began then is over: who was not written to since need not be looked at again."""
    call(session, text("SELECT ledger.sealed_all(:began)"), {"began": began})


def seals(session: Session, *, after: int = 0, limit: int = 1_000) -> list[Seal]:
    """The seals numbered above `after`, in order."""
    rows = call_all(
        session,
        text("SELECT * FROM ledger.seals_v WHERE number > :after ORDER BY number LIMIT :limit"),
        {"after": after, "limit": limit},
    )
    return [seal_of(row) for row in rows]


def seal_of(row: Mapping[Any, Any]) -> Seal:
    """A row of `seals_v`."""
    return Seal(**row)
