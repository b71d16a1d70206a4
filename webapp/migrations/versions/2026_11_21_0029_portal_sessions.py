"""Portal sessions: links that a product leads its users to their account by, and what becomes of them."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0029"
down_revision = "20261121_0028"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "portal_sessions",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("account_id", sa.BigInteger, nullable=False),
        sa.Column("external_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("locale", sa.Text),
        sa.Column("page", sa.Text, nullable=False),
        sa.Column("return_url", sa.Text, nullable=False),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.Column("link_hash", sa.LargeBinary, nullable=False),
        sa.Column("token_hash", sa.LargeBinary),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("opened_at", MOMENT),
        sa.Column("last_seen_at", MOMENT),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("ip", sa.Text, nullable=False, server_default=""),
        sa.Column("user_agent", sa.Text, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("id", name="portal_sessions_pkey"),
        sa.UniqueConstraint("link_hash", name="portal_sessions_link_hash_key"),
        sa.UniqueConstraint("token_hash", name="portal_sessions_token_hash_key"),
        sa.CheckConstraint(
            "(opened_at IS NULL) = (token_hash IS NULL) AND (opened_at IS NULL) = (last_seen_at IS NULL)",
            name="portal_sessions_opened_check",
        ),
    )
    op.create_index("portal_sessions_account_id_idx", "portal_sessions", ["account_id"])
    op.create_index("portal_sessions_expires_at_idx", "portal_sessions", ["expires_at"])
