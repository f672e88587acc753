"""Schema 3 → 4: how votes come about (rubber-stamp signals)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "4"
down_revision = "3"


def upgrade() -> None:
    """Two tables; what was voted before has no row in them, and counts for nothing."""
    op.create_table(
        "views",
        sa.Column("hold", sa.String, sa.ForeignKey("holds.id"), primary_key=True),
        sa.Column("person", sa.String, primary_key=True),
        sa.Column("first_at_ns", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "reviews",
        sa.Column("vote", sa.String, primary_key=True),
        *(sa.Column(name, sa.String, nullable=False) for name in ("person", "workflow", "tier", "decision")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("viewed_at_ns", "at_ns")),
        sa.Column("length", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Boolean, nullable=False) for name in ("in_view", "after_hours")),
    )
    op.create_index("reviews_at", "reviews", ["at_ns"])
    op.create_index("reviews_person", "reviews", ["person", "at_ns"])
