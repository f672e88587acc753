"""The obligation `response_fields`: an upstream's answer reduced to the listed fields before the agent, or a hold, gets it.

Must never pass on a byte of a body that was not read strictly, whole and inside the limit; what cannot be reduced is withheld.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from stagewarden.errors import Ambiguous, AnswerWithheld
from stagewarden.model import Answer
from stagewarden.wire import reduced, strict_json

if TYPE_CHECKING:
    from stagewarden.config import Limits
    from stagewarden.gate.sending import Relay
    from stagewarden.model import Headers

_SIZE_FACTOR = 4  # an answer carries more than a request; as for look-ups
_OK, _PARTIAL, _NOT_OK = 200, 206, 300
_EMPTY = frozenset({204, 304})
# What describes or vouches for the bytes the upstream sent; they are not the bytes the agent gets.
_OF_THE_WHOLE = frozenset(
    {
        "accept-ranges", "content-digest", "content-length", "content-md5", "content-range", "digest", "etag", "last-modified", "repr-digest",
        "signature", "signature-input",
    }
)  # fmt: skip


async def reduce(relay: Relay, fields: tuple[str, ...], limits: Limits, method: str) -> None:
    """Put into `relay.given` what the agent may see. Raises AnswerWithheld, `relay.given` then without a body; UpstreamFailed where it breaks off.

    1. No content (HEAD, 204, 304, length 0): status and headers.
    2. JSON, not encoded, not a range, read whole inside the limit, strictly: the listed fields.
    3. Anything else: of an error its status alone; of a success nothing, because an empty body would say that there is nothing.
    """
    answer = relay.answer
    relay.keep_back()
    headers: Headers = tuple([field for field in answer.headers if field[0].lower() not in _OF_THE_WHOLE])
    named = {name.lower(): value for name, value in answer.headers}
    if method == "HEAD" or answer.status in _EMPTY or named.get("content-length") == "0":
        relay.give(Answer(answer.status, headers, b""), "filtered")
        return
    why = _not_readable(answer.status, named)
    if why is None:
        try:
            document = strict_json.loads(await relay.read(_SIZE_FACTOR * limits.body), limits.json_depth)
            body = orjson.dumps(reduced.reduce(document, reduced.tree(fields)))
        except (Ambiguous, TypeError):  # a detail quotes names and numbers of what the agent may not see; TypeError: the writer's own depth
            why = f"it is not strict JSON with fields to be chosen from, or over {_SIZE_FACTOR * limits.body} bytes"
        else:
            relay.give(Answer(answer.status, headers, body), "filtered")
            return
    bare = tuple([field for field in headers if not field[0].lower().startswith("content-")])
    if answer.status >= _NOT_OK:
        relay.give(Answer(answer.status, bare, b""), "filtered")
        return
    relay.give(Answer(answer.status, bare, b"", withheld=True), "withheld")
    raise AnswerWithheld(answer.status, why)


def _not_readable(status: int, named: dict[str, str]) -> str | None:
    """Why its head alone says that it cannot be reduced."""
    media = named.get("content-type", "").partition(";")[0].strip().lower()
    if named.get("content-encoding", "identity").lower() != "identity":
        return "it is encoded: ask for it with `Accept-Encoding: identity`"
    if media != "application/json" and not (media.startswith("application/") and media.endswith("+json")):
        return "it is not JSON"
    return "it is a part of something" if status == _PARTIAL else None
