"""Stripe's events by customer, so that who a customer was can be forgotten when they leave."""

from alembic import op

revision = "20261121_0030"
down_revision = "20261121_0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Writers wait while it is built. Made under this name before, CONCURRENTLY, it is taken as it is."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(
        "CREATE INDEX IF NOT EXISTS stripe_events_customer_idx ON stripe_events"
        " (coalesce(payload #>> '{data,object,customer}', payload #>> '{data,object,id}'))"
    )
