"""Orders of plans by their state, for their list and for who looks after those that wait for a person."""

from alembic import op

revision = "20261121_0039"
down_revision = "20261121_0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Writers wait while it is built."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("CREATE INDEX plan_orders_state_idx ON plan_orders (state, id)")
