"""The state database: tables, transactions, migrations and notices, on SQLite (one sidecar) or PostgreSQL (several).

Knows rows and transactions, nothing of holds' rules. Whatever the database says wrong comes out as `StateUnavailable`.
"""

from stagewarden.store.backend import origin, writes
from stagewarden.store.callbacks import Callback, Callbacks
from stagewarden.store.database import Clash, Store
from stagewarden.store.news import Ear, Notice
from stagewarden.store.revisions import Confirmation, Revision, Revisions
from stagewarden.store.url import locate

__all__ = ["Callback", "Callbacks", "Clash", "Confirmation", "Ear", "Notice", "Revision", "Revisions", "Store", "locate", "origin", "writes"]
