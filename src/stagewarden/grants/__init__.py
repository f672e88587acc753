"""Grants: bounded permissions, asked for and voted on by people, used by agents (lifecycles.md, "A grant").

Everything here is a move of one table, written with its log entry in one transaction. Nothing here asks a policy, decides who may vote,
or appends to the log: the gate does.
"""

from stagewarden.grants.asking import Asking, Ballot, Council
from stagewarden.grants.ending import Ending
from stagewarden.grants.grant import Bound, Changed, Grant, GrantState, Terms, Use
from stagewarden.grants.using import Using

__all__ = ["Ballot", "Bound", "Changed", "Council", "Grant", "GrantState", "Grants", "Terms", "Use"]


class Grants(Asking, Ending, Using):
    """All acts on grants; built once, with the store and the clock."""
