"""Standard Webhooks signatures: `v1` is HMAC-SHA256 over `id.timestamp.body`, one for each secret, so that secrets can be changed one by one.

Source: the Standard Webhooks specification, "Signature scheme". Never shows a secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64  # bytes


def key_of(secret: str) -> bytes:
    """The key in `whsec_` and base64; raises ValueError saying what is wrong, without the secret."""
    if not secret.startswith(_PREFIX):
        raise ValueError("does not begin with whsec_")
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not base64 after whsec_") from None
    if not _SHORTEST <= len(key) <= _LONGEST:
        raise ValueError(f"holds {len(key)} bytes, not {_SHORTEST} to {_LONGEST}")
    return key


def headers(message_id: str, seconds: int, body: bytes, keys: Iterable[bytes]) -> dict[str, str]:
    """The three headers of one attempt; `seconds` is the time of the attempt, the id stays the same over all of them."""
    signed = f"{message_id}.{seconds}.".encode() + body
    signatures = [f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}" for key in keys]
    return {"webhook-id": message_id, "webhook-timestamp": str(seconds), "webhook-signature": " ".join(signatures)}
