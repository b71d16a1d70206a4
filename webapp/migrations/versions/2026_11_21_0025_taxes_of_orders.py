"""What of the money for a plan's order is taxes: refunds go by all of it, the cost of the credits by the rest."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0025"
down_revision = "20261121_0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """`paid_minor` was without taxes until now; what they were is not known any more, so those orders have none."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("plan_orders", sa.Column("tax_minor", sa.BigInteger))
    op.execute("UPDATE plan_orders SET tax_minor = 0 WHERE paid_minor IS NOT NULL")
    op.create_check_constraint("plan_orders_tax_check", "plan_orders", "tax_minor BETWEEN 0 AND paid_minor")
