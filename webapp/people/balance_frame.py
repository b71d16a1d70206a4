"""The signed address of a balance in a frame: whoever has it sees the account's balance until it expires."""

from dataclasses import dataclass
from datetime import UTC, datetime

from itsdangerous import BadSignature, URLSafeSerializer

LONGEST_SECONDS = 24 * 3_600
LONGEST_TOKEN = 500


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What a token says: whose balance, in which of the site's languages (None: the browser's)."""

    account_id: int
    locale: str | None


def sign_frame(*, account_id: int, locale: str | None, expires_at: datetime, secret_key: str) -> str:
    """A token for the address; nothing is stored."""
    token = _signer(secret_key).dumps([account_id, locale, int(expires_at.timestamp())])
    return token if isinstance(token, str) else token.decode()


def read_frame(token: str, *, secret_key: str) -> Frame | None:
    """What the token says; None when it is none of ours, or too old."""
    if len(token) > LONGEST_TOKEN:
        return None
    try:
        account_id, locale, expires = _signer(secret_key).loads(token)
    except BadSignature:
        return None
    if datetime.now(UTC).timestamp() >= expires:
        return None
    return Frame(account_id=account_id, locale=locale)


def _signer(secret_key: str) -> URLSafeSerializer:
    return URLSafeSerializer(secret_key, salt="balance in a frame")
