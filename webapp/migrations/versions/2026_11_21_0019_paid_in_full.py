"""What was really paid for a purchase: after discounts, with taxes."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0019"
down_revision = "20261121_0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The price is what was agreed, the money what came; refunds and disputes never exceed the money."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("purchases", sa.Column("paid_minor", sa.BigInteger))
    op.add_column("purchases", sa.Column("tax_minor", sa.BigInteger))
    # Until now nothing was taken off and no tax was added.
    op.execute("UPDATE purchases SET paid_minor = price_minor, tax_minor = 0 WHERE state = 'fulfilled'")
    op.drop_constraint("purchases_refunded_check", "purchases", type_="check")
    op.drop_constraint("purchases_lost_check", "purchases", type_="check")
    op.create_check_constraint(
        "purchases_gone_check",
        "purchases",
        "refunded_minor >= 0 AND lost_minor >= 0 AND refunded_minor + lost_minor <= coalesce(paid_minor, 0)",
    )
    op.create_check_constraint(
        "purchases_paid_check",
        "purchases",
        "(paid_minor IS NULL) = (tax_minor IS NULL) AND tax_minor BETWEEN 0 AND paid_minor"
        " AND (state <> 'fulfilled' OR paid_minor IS NOT NULL)",
    )
    op.execute(
        """
        CREATE FUNCTION guard_purchase_paid() RETURNS trigger
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
            IF OLD.paid_minor IS NOT NULL
               AND (OLD.paid_minor, OLD.tax_minor) IS DISTINCT FROM (NEW.paid_minor, NEW.tax_minor) THEN
                RAISE EXCEPTION 'what was paid for purchase % is not to be changed', OLD.id
                    USING ERRCODE = 'integrity_constraint_violation';
            END IF;
            RETURN NEW;
        END
        $$;
        CREATE TRIGGER guard_purchase_paid BEFORE UPDATE ON purchases
            FOR EACH ROW EXECUTE FUNCTION guard_purchase_paid();
        """
    )
