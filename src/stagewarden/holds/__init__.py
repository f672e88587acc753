"""Holds: requests that wait for people, from the first question to the last answer (lifecycles.md, "A hold").

Everything here is a move of one table, written with its log entry in one transaction. Nothing here sends, asks a policy, or
appends to the log: the gate does.
"""

from stagewarden.holds.counting import Counting
from stagewarden.holds.covered import Covered
from stagewarden.holds.crypto import Vault
from stagewarden.holds.desk import CHANNEL
from stagewarden.holds.ending import Ending
from stagewarden.holds.entries import Moved, view_digest
from stagewarden.holds.escalating import Escalating
from stagewarden.holds.inbox import Inbox
from stagewarden.holds.releasing import Releasing
from stagewarden.holds.resolving import Resolving
from stagewarden.holds.reviewing import Reviewing
from stagewarden.holds.rows import NewHold
from stagewarden.holds.voting import Voting
from stagewarden.store.outbox import OutboxEntry

__all__ = ["CHANNEL", "Holds", "Moved", "NewHold", "OutboxEntry", "Vault", "view_digest"]


class Holds(Counting, Covered, Voting, Ending, Escalating, Releasing, Resolving, Reviewing, Inbox):
    """All acts on holds; built once, with the store, the vault, the clock, and the configuration's holds and limits."""
