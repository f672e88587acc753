"""Schema 5 → 6: what a hold's thing is called, sealed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "6"
down_revision = "5"


def upgrade() -> None:
    """One table; a hold opened before has no row in it, and its list names it by its asset, as before."""
    op.create_table(
        "titles",
        sa.Column("hold", sa.String, sa.ForeignKey("holds.id"), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
