"""Schema 2, of the first release: where every way begins. Nothing leads here."""

revision = "2"
down_revision = None


def upgrade() -> None:
    """Never run: schema 2 is made by the release that has it."""
