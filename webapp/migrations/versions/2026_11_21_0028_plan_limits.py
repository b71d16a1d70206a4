"""Entries of nothing, for what a price comes to nothing for, and ceilings of plans."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0028"
down_revision = "20261121_0027"
branch_labels = None
depends_on = None

MOST_UNITS = 10**15
# Weaker than those they take the place of, so what is there need not be read again.
CHECKS = (
    "ALTER TABLE ledger.entries DROP CONSTRAINT entries_amount_check",
    "ALTER TABLE ledger.entries ADD CONSTRAINT entries_amount_check"
    " CHECK (amount <> 0 OR kind = 'spend' OR kind = 'refund') NOT VALID",
    "ALTER TABLE ledger.holds DROP CONSTRAINT holds_state_check",
    "ALTER TABLE ledger.holds ADD CONSTRAINT holds_state_check CHECK ("
    " state IN ('open', 'captured', 'voided', 'lapsed') AND (state = 'open') = (closed_at IS NULL)"
    " AND captured BETWEEN 0 AND amount AND (captured = 0 OR state = 'captured')) NOT VALID",
)


def upgrade() -> None:
    """A spend and its refund may be of 0 credits, a hold and a capture too; a plan may limit what is used."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    for check in CHECKS:
        op.execute(check)
    op.create_table(
        "plan_limits",
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("feature", sa.Text, nullable=False),
        sa.Column("per", sa.Text, nullable=False),
        sa.Column("quantity", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("plan", "feature", "per", name="plan_limits_pkey"),
        sa.ForeignKeyConstraint(["plan"], ["plans.code"], name="plan_limits_plan_fkey"),
        sa.ForeignKeyConstraint(["feature"], ["features.key"], name="plan_limits_feature_fkey"),
        sa.CheckConstraint("per IN ('hour', 'day', 'month')", name="plan_limits_per_check"),
        sa.CheckConstraint(f"quantity BETWEEN 0 AND {MOST_UNITS}", name="plan_limits_quantity_check"),
    )
    # Each spend asks whether its feature is limited at all.
    op.create_index("plan_limits_feature_idx", "plan_limits", ["feature"])
