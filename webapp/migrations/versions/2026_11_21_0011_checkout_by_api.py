"""Purchases that the product's backend begins, for accounts that need not belong to a user."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0011"
down_revision = "20261121_0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Who buys is the account; the user is who looks at it here, if anybody does. Where to go after is promised."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.alter_column("purchases", "user_id", nullable=True)
    op.add_column("purchases", sa.Column("success_url", sa.Text))
    op.add_column("purchases", sa.Column("cancel_url", sa.Text))
    # Each user has one account, so whatever was unique by user is unique by account.
    op.drop_constraint("purchases_intent_key", "purchases", type_="unique")
    op.create_unique_constraint("purchases_intent_key", "purchases", ["account_id", "intent", "package", "currency"])
    op.create_check_constraint(
        "purchases_return_check",
        "purchases",
        "(success_url IS NULL) = (cancel_url IS NULL) AND (user_id IS NOT NULL OR success_url IS NOT NULL)",
    )
    op.execute(
        """
        CREATE FUNCTION guard_purchase_return() RETURNS trigger
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
            IF (OLD.success_url, OLD.cancel_url) IS DISTINCT FROM (NEW.success_url, NEW.cancel_url) THEN
                RAISE EXCEPTION 'the snapshot of purchase % is not to be changed', OLD.id
                    USING ERRCODE = 'integrity_constraint_violation';
            END IF;
            RETURN NEW;
        END
        $$;
        CREATE TRIGGER guard_purchase_return BEFORE UPDATE ON purchases
            FOR EACH ROW EXECUTE FUNCTION guard_purchase_return();
        """
    )
