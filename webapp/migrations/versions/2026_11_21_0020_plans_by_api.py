"""Plans begun through the API by accounts without a user; what a customer has to do; refunds of plans."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0020"
down_revision = "20261121_0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Who buys is the account, for plans too: the user is who looks at it here, if anybody does."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    _customers()
    _orders()
    for table in ("subscriptions", "entitlements"):
        op.alter_column(table, "user_id", nullable=True)
    op.create_index("subscriptions_account_id_idx", "subscriptions", ["account_id", "id"])
    op.drop_index("subscriptions_user_id_idx", "subscriptions")
    _what_is_needed()
    _refunds()


def _customers() -> None:
    """Each user has one account, so whoever was a customer as a user is one as an account."""
    op.add_column("stripe_customers", sa.Column("account_id", sa.BigInteger))
    op.execute("UPDATE stripe_customers c SET account_id = u.account_id FROM users u WHERE u.id = c.user_id")
    op.alter_column("stripe_customers", "account_id", nullable=False)
    op.drop_constraint("stripe_customers_pkey", "stripe_customers", type_="primary")
    op.create_primary_key("stripe_customers_pkey", "stripe_customers", ["account_id", "mode"])
    op.drop_column("stripe_customers", "user_id")
    op.create_index("stripe_customers_stripe_customer_id_idx", "stripe_customers", ["stripe_customer_id"])


def _orders() -> None:
    op.alter_column("plan_orders", "user_id", nullable=True)
    op.add_column("plan_orders", sa.Column("success_url", sa.Text))
    op.add_column("plan_orders", sa.Column("cancel_url", sa.Text))
    op.drop_constraint("plan_orders_intent_key", "plan_orders", type_="unique")
    op.create_unique_constraint("plan_orders_intent_key", "plan_orders", ["account_id", "intent", "plan", "currency"])
    op.create_index("plan_orders_account_id_idx", "plan_orders", ["account_id", "id"])
    op.drop_index("plan_orders_user_id_idx", "plan_orders")
    op.create_check_constraint(
        "plan_orders_return_check",
        "plan_orders",
        "(success_url IS NULL) = (cancel_url IS NULL) AND (user_id IS NOT NULL OR success_url IS NOT NULL)",
    )
    op.execute(
        """
        CREATE FUNCTION guard_plan_order_return() RETURNS trigger
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
            IF (OLD.success_url, OLD.cancel_url) IS DISTINCT FROM (NEW.success_url, NEW.cancel_url) THEN
                RAISE EXCEPTION 'the snapshot of plan order % is not to be changed', OLD.id
                    USING ERRCODE = 'integrity_constraint_violation';
            END IF;
            RETURN NEW;
        END
        $$;
        CREATE TRIGGER guard_plan_order_return BEFORE UPDATE ON plan_orders
            FOR EACH ROW EXECUTE FUNCTION guard_plan_order_return();
        """
    )


def _what_is_needed() -> None:
    """An invoice that Stripe could not make ready, and a payment that waits for its cardholder."""
    op.add_column(
        "subscription_invoices",
        sa.Column("finalization_error", sa.Text, comment="why Stripe could not make it ready, in its words"),
    )
    op.add_column("subscriptions", sa.Column("needs", sa.Text, comment="what only the customer can do"))
    op.create_check_constraint("subscriptions_needs_check", "subscriptions", "needs IN ('address', 'confirmation')")


def _refunds() -> None:
    """What is given back is of a purchase, or of the payment for a plan."""
    op.alter_column("refunds", "purchase_id", nullable=True)
    op.add_column("refunds", sa.Column("stripe_payment_intent_id", sa.Text, comment="of a plan; null: of a purchase"))
    op.create_check_constraint(
        "refunds_payment_check", "refunds", "num_nonnulls(purchase_id, stripe_payment_intent_id) = 1"
    )
    op.create_unique_constraint("refunds_plan_intent_key", "refunds", ["stripe_payment_intent_id", "intent"])
