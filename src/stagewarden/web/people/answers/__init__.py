"""What the people's API answers, as shapes: the OpenAPI document is made of them, and a test holds every answer to them.

Documentation only: `views.py` makes the answers. A member that may be left out is `UNSET` here; one that is always there and may be
empty is `None`. Newer releases may add members, so clients are told of no closed object.
"""

from stagewarden.web.people.answers.caller import Me, Nothing, Session, Sessions, SignedIn, TerminalSession, Token, Tokens
from stagewarden.web.people.answers.document import Description, Event
from stagewarden.web.people.answers.grants import Grant, Grants, GrantVote, Standing, Use, Used
from stagewarden.web.people.answers.holds import (
    BodyFile,
    Content,
    Edited,
    HeldRequest,
    Hold,
    HoldChanged,
    Holds,
    Reason,
    Seat,
    UpstreamAnswer,
    Vote,
    You,
)
from stagewarden.web.people.answers.outside import Deliveries, Delivery
from stagewarden.web.people.answers.registry import Confirmation, Confirmer, Revision, Revisions, Widening
from stagewarden.web.people.answers.reviews import Measures, OwnReviews, Reviews, WorkflowReviews
from stagewarden.web.people.answers.rulings import Ruling, Rulings
from stagewarden.web.people.answers.shape import Problem, Shape
from stagewarden.web.people.answers.stops import Agent, AgentModed, Agents, Kill, KillEngaged, Kills, ModeInForce, Owners

__all__ = [
    "Agent",
    "AgentModed",
    "Agents",
    "BodyFile",
    "Confirmation",
    "Confirmer",
    "Content",
    "Deliveries",
    "Delivery",
    "Description",
    "Edited",
    "Event",
    "Grant",
    "GrantVote",
    "Grants",
    "HeldRequest",
    "Hold",
    "HoldChanged",
    "Holds",
    "Kill",
    "KillEngaged",
    "Kills",
    "Me",
    "Measures",
    "ModeInForce",
    "Nothing",
    "OwnReviews",
    "Owners",
    "Problem",
    "Reason",
    "Reviews",
    "Revision",
    "Revisions",
    "Ruling",
    "Rulings",
    "Seat",
    "Session",
    "Sessions",
    "Shape",
    "SignedIn",
    "Standing",
    "TerminalSession",
    "Token",
    "Tokens",
    "UpstreamAnswer",
    "Use",
    "Used",
    "Vote",
    "Widening",
    "WorkflowReviews",
    "You",
]
