"""The state database: tables, engine set-up and transactions (SQLite now, PostgreSQL by URL later).

Knows rows and transactions, nothing of holds' rules. Whatever the database says wrong comes out as `StateUnavailable`.
"""

from stagewarden.store.database import Clash, Store
from stagewarden.store.revisions import Confirmation, Revision, Revisions
from stagewarden.store.url import locate

__all__ = ["Clash", "Confirmation", "Revision", "Revisions", "Store", "locate"]
