"""Suspended accounts, with or without a person, and who suspended them why."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0026"
down_revision = "20261121_0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """People who were suspended stay so, as accounts; ended suspensions stay for the record."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "suspensions",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("account_id", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("ended_by", sa.Text),
        sa.PrimaryKeyConstraint("id", name="suspensions_pkey"),
        sa.CheckConstraint("length(reason) BETWEEN 1 AND 500", name="suspensions_reason_check"),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (ended_by IS NULL) AND ended_at >= since", name="suspensions_end_check"
        ),
    )
    op.create_index(
        "suspensions_now_idx", "suspensions", ["account_id"], unique=True, postgresql_where=sa.text("ended_at IS NULL")
    )
    op.create_index("suspensions_account_id_idx", "suspensions", ["account_id", "id"])
    op.execute(
        """
        INSERT INTO suspensions (account_id, reason, actor, since)
        SELECT account_id, coalesce(nullif(left(suspended_reason, 500), ''), 'not said'), 'cli', suspended_at
        FROM users WHERE suspended_at IS NOT NULL
        """
    )
    op.drop_column("users", "suspended_at")
    op.drop_column("users", "suspended_reason")
