"""Signs webhooks as Stripe signs them: https://docs.stripe.com/webhooks#verify-manually"""

import hashlib
import hmac


def sign(body: str, *, secret: str, timestamp: int) -> str:
    """The `Stripe-Signature` header: HMAC-SHA256 of `timestamp.body` under the endpoint's secret."""
    signed = f"{timestamp}.{body}".encode()
    return f"t={timestamp},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"
