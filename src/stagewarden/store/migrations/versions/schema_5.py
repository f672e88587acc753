"""Schema 4 → 5: when each token of the people's plane was last used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "5"
down_revision = "4"


def upgrade() -> None:
    """One table; what was used before has no row in it, and is shown as not used since."""
    op.create_table(
        "token_uses",
        sa.Column("token", sa.String, primary_key=True),
        sa.Column("last_ns", sa.BigInteger, nullable=False),
    )
