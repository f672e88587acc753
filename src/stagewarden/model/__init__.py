"""The vocabulary as frozen values: Request, Principal, Action, Question, Verdict, Hold, Ruling.

Everything here is valid by construction and knows no I/O; structs of msgspec: a dozen are made for each request, and theirs cost a tenth of
a dataclass's. The JSON shapes that leave the process are held equal to `rego/schemas/` by a test. Never put a clock, a file or a socket here.
"""

from stagewarden.model.asked import Action, Asset, Credential, Link, Principal, Question
from stagewarden.model.hold import Answer, Hold, HoldState, Vote
from stagewarden.model.request import (
    DIGEST_FORMAT,
    JSON,
    QUESTION_VERSION,
    REPEAT_IGNORES,
    Body,
    DataClass,
    Document,
    Function,
    Head,
    Headers,
    Large,
    Request,
    Stage,
    Target,
    Tier,
)
from stagewarden.model.ruling import Given, Outcome, Result, Ruling
from stagewarden.model.verdict import Allow, Ask, Deny, Obligations, Reason, Seat, Verdict

__all__ = [
    "DIGEST_FORMAT",
    "JSON",
    "QUESTION_VERSION",
    "REPEAT_IGNORES",
    "Action",
    "Allow",
    "Answer",
    "Ask",
    "Asset",
    "Body",
    "Credential",
    "DataClass",
    "Deny",
    "Document",
    "Function",
    "Given",
    "Head",
    "Headers",
    "Hold",
    "HoldState",
    "Large",
    "Link",
    "Obligations",
    "Outcome",
    "Principal",
    "Question",
    "Reason",
    "Request",
    "Result",
    "Ruling",
    "Seat",
    "Stage",
    "Target",
    "Tier",
    "Verdict",
    "Vote",
]
