"""Money for plans that went back."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0013"
down_revision = "20261121_0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Payments for plans of which something was refunded or disputed; the others have no row."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "plan_reversals",
        sa.Column("stripe_payment_intent_id", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("account_id", sa.BigInteger, nullable=False),
        sa.Column("price_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("refunded_minor", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("lost_minor", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("version", sa.BigInteger, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("stripe_payment_intent_id", name="plan_reversals_pkey"),
        sa.CheckConstraint("mode IN ('sandbox', 'test', 'live')", name="plan_reversals_mode_check"),
        sa.CheckConstraint(
            "refunded_minor >= 0 AND lost_minor >= 0 AND refunded_minor + lost_minor <= price_minor",
            name="plan_reversals_gone_check",
        ),
    )
    op.create_index("plan_reversals_account_id_idx", "plan_reversals", ["account_id"])
    op.execute("REVOKE DELETE ON plan_reversals FROM tallystick_app")
