"""Standard Webhooks: what we sign, the specification's own verifier accepts, and nothing that was changed."""

from __future__ import annotations

import base64
import time

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from stagewarden.notify.signing import headers, key_of
from tests.unit.notify.bench import KEY, SECRET

OTHER = b"o" * 24
BODY = '{"type":"hold.opened","data":{"kind":"café"}}'.encode()


def written(key: bytes) -> str:
    """A secret as it stands in its file."""
    return "whsec_" + base64.b64encode(key).decode()


@pytest.mark.parametrize("secret", [SECRET, written(OTHER)], ids=["the old secret", "the new secret"])
def test_both_secrets_verify_while_they_change(secret):
    """One signature for each secret: a receiver that knows either accepts it."""
    signed = headers("n_1", int(time.time()), BODY, [KEY, OTHER])
    assert Webhook(secret).verify(BODY, signed) == {"type": "hold.opened", "data": {"kind": "café"}}


CHANGES = {
    "body": lambda signed: (BODY + b" ", signed),
    "id": lambda signed: (BODY, signed | {"webhook-id": "n_2"}),
    "timestamp": lambda signed: (BODY, signed | {"webhook-timestamp": str(int(signed["webhook-timestamp"]) + 1)}),
    "old": lambda _: (BODY, headers("n_1", int(time.time()) - 600, BODY, [KEY])),
    "another key": lambda _: (BODY, headers("n_1", int(time.time()), BODY, [OTHER])),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_changed_does_not_verify(change):
    """Body, id and time are all signed; an old message is no new one."""
    body, signed = change(headers("n_1", int(time.time()), BODY, [KEY]))
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body, signed)


@pytest.mark.parametrize(("secret", "why"), [
    ("hunter2", "begin with whsec_"), ("whsec_!!!", "base64"), (written(b"x" * 23), "23 bytes"), (written(b"x" * 65), "65 bytes"),
    ("", "begin with"), (SECRET.replace("whsec_", "whpk_"), "begin with"),
], ids=["another kind", "not base64", "short", "long", "empty", "a public key"])  # fmt: skip
def test_what_is_no_secret_is_refused_without_showing_it(secret, why):
    """Shorter than 24 bytes is guessable; the message names the fault and never the secret."""
    with pytest.raises(ValueError, match=why) as refused:
        key_of(secret)
    assert not secret or secret not in str(refused.value)
