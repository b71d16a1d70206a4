"""Campaigns: credits as a present, to whom and when."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0017"
down_revision = "20261121_0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What was given is in the ledger, under the campaign's key: once an account."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "campaigns",
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("credits", sa.BigInteger, nullable=False),
        sa.Column("expires_days", sa.Integer),
        sa.Column("audience", sa.Text, nullable=False),
        sa.Column("plan", sa.Text),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("code", name="campaigns_pkey"),
        sa.CheckConstraint("code ~ '^[a-z0-9][a-z0-9-]{0,39}$'", name="campaigns_code_check"),
        sa.CheckConstraint(
            "credits > 0 AND (expires_days IS NULL OR expires_days > 0)", name="campaigns_credits_check"
        ),
        sa.CheckConstraint("audience IN ('everyone', 'plan', 'accounts')", name="campaigns_audience_check"),
        sa.CheckConstraint("(audience = 'plan') = (plan IS NOT NULL)", name="campaigns_plan_check"),
        sa.CheckConstraint("ends_at > starts_at", name="campaigns_window_check"),
    )
    op.create_table(
        "campaign_accounts",
        sa.Column("campaign", sa.Text, sa.ForeignKey("campaigns.code"), nullable=False),
        sa.Column("account_id", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("campaign", "account_id", name="campaign_accounts_pkey"),
    )
