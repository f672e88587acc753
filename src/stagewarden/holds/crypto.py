"""Encryption of what a hold stores: AES-256-GCM, one random data key per hold, wrapped by `holds.key` (audit.md, "Payloads").

Every ciphertext is bound to its hold and column, so that none can be moved to another place. Dropping the wrapped key
deletes the payload. Never logs, never falls back to plain text.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stagewarden.errors import ConfigError, Problem, StateUnavailable

KEY_BYTES = 32
_FORMAT = b"\x01"
_NONCE_BYTES = 12  # random: safe for 2^32 messages under one key (NIST SP 800-38D section 8.3); a data key seals a handful


class Payload:
    """Seals and opens the columns of one hold."""

    def __init__(self, hold: str, key: bytes) -> None:
        self._hold = hold
        self._key = key

    def seal(self, column: str, plain: bytes) -> bytes:
        """Ciphertext for one column of this hold."""
        return _seal(self._key, self._hold, column, plain)

    def open(self, column: str, sealed: bytes) -> bytes:
        """The plain bytes; StateUnavailable where they were changed, moved or sealed under another key."""
        return _open(self._key, self._hold, column, sealed)


class Vault:
    """Mints and unwraps the data keys of holds."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a vault key has {KEY_BYTES} bytes")
        self._key = key

    def mint(self, hold: str) -> tuple[bytes, Payload]:
        """A new data key for one hold: wrapped for storing, and ready for use."""
        fresh = AESGCM.generate_key(KEY_BYTES * 8)
        return _seal(self._key, hold, "data_key", fresh), Payload(hold, fresh)

    def unwrap(self, hold: str, wrapped: bytes) -> Payload:
        """The payload of a hold whose wrapped data key was stored."""
        return Payload(hold, _open(self._key, hold, "data_key", wrapped))

    def derived(self, purpose: str) -> bytes:
        """A key for one other purpose: whoever has it learns neither this key nor another one (RFC 5869's expand step, one block)."""
        return hmac.new(self._key, f"stagewarden/{purpose}\x01".encode(), hashlib.sha256).digest()


def parse_key(text: str) -> bytes:
    """The text of `holds.key`: 32 bytes as base64url (43 characters, or 44 with padding) or as 64 hex digits."""
    try:
        if re.fullmatch(r"[0-9A-Fa-f]{64}", text):
            return bytes.fromhex(text)
        if re.fullmatch(r"[A-Za-z0-9_-]{43}=?", text):
            key = base64.urlsafe_b64decode(text[:43] + "=")
            if base64.urlsafe_b64encode(key).decode()[:43] == text[:43]:  # one text per key: no stray low bits
                return key
    except (ValueError, binascii.Error):
        pass
    remedy = "`openssl rand -hex 32`, or run `stagewarden init`"
    raise ConfigError((Problem("", 0, "holds.key", "not 32 bytes as base64url or as 64 hex digits", remedy),))


def _bound(hold: str, column: str) -> bytes:
    return f"stagewarden/hold/1\0{hold}\0{column}".encode()


def _seal(key: bytes, hold: str, column: str, plain: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return _FORMAT + nonce + AESGCM(key).encrypt(nonce, plain, _bound(hold, column))


def _open(key: bytes, hold: str, column: str, sealed: bytes) -> bytes:
    nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    try:
        if sealed.startswith(_FORMAT):
            return AESGCM(key).decrypt(nonce, body, _bound(hold, column))
    except (InvalidTag, ValueError):
        pass  # one refusal for every cause: which of them it was helps nobody who may know
    raise StateUnavailable(f"hold {hold}: {column} cannot be decrypted; it was changed, or holds.key is not the key it was sealed with")
