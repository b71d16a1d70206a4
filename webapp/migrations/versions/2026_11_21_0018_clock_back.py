"""A past for the demo: the ledger's time can be turned back inside one database transaction, in sandbox mode only."""

from alembic import op

revision = "20261121_0018"
down_revision = "20261121_0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """By how much it is turned back stands beside how far it was moved ahead; a trigger lets no commit keep it."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(
        "ALTER TABLE ledger.clock ADD COLUMN back interval NOT NULL DEFAULT '0'"
        " CONSTRAINT clock_back_check CHECK (back >= '0')"
    )
