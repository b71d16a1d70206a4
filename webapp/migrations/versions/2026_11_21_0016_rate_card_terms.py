"""Rates in other shapes than so much a unit, and rate cards that take effect later."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "20261121_0016"
down_revision = "20261121_0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A rate is credits for a unit, or terms; a rate card says since when it is in force and when it was published."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.alter_column("rate_cards", "published_at", new_column_name="effective_at")
    op.add_column(
        "rate_cards",
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.execute("UPDATE rate_cards SET published_at = effective_at")
    op.alter_column("rates", "credits_per_unit", nullable=True)
    op.add_column("rates", sa.Column("terms", JSONB))
    op.create_check_constraint(
        "rates_terms_check",
        "rates",
        "num_nonnulls(credits_per_unit, terms) = 1 AND (terms IS NULL OR jsonb_typeof(terms) = 'object')",
    )
