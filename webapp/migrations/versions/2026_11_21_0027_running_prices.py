"""What the plan that runs was paid with, beside what the subscription's next invoice is for."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0027"
down_revision = "20261121_0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Null until a subscription is looked at the next time."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column(
        "subscriptions",
        sa.Column("running_price_minor", sa.BigInteger, comment="what was paid each time for the plan that runs"),
    )
