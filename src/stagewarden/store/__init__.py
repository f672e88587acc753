"""The state database: tables, transactions, migrations and notices, on SQLite (one sidecar) or PostgreSQL (several).

Knows rows and transactions, nothing of holds' rules. Whatever the database says wrong comes out as `StateUnavailable`.
"""

from stagewarden.store.backend import writes
from stagewarden.store.database import Clash, Store
from stagewarden.store.news import Ear, Notice
from stagewarden.store.url import locate

__all__ = ["Clash", "Ear", "Notice", "Store", "locate", "writes"]
