"""Mails about credits: who wants them, and of which grants was told what."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0015"
down_revision = "20261121_0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A grant that ends soon has one row; both mails about its end are written at most once."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("users", sa.Column("credit_mails", sa.Boolean, nullable=False, server_default=sa.true()))
    op.create_table(
        "expiry_notices",
        sa.Column("account_id", sa.BigInteger, nullable=False),
        sa.Column("grant_id", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("warned_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("account_id", "grant_id", name="expiry_notices_pkey"),
    )
    op.create_index(
        "expiry_notices_expires_at_idx", "expiry_notices", ["expires_at"], postgresql_where=sa.text("ended_at IS NULL")
    )
