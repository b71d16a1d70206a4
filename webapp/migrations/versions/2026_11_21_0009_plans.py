"""Plans in full: their terms, who is on which, subscriptions as Stripe has them, and what each period was given."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261121_0009"
down_revision = "20261121_0008"
branch_labels = None
depends_on = None

MOST_CREDITS = 10**15
MODE = "mode IN ('sandbox', 'test', 'live')"
TERMS = (
    "credits_per_month BETWEEN 1 AND 1000000000000000 AND rollover_cap BETWEEN 0 AND 1000000000000000"
    " AND expiry IN ('period', 'days', 'never') AND (expiry = 'days') = (expiry_days IS NOT NULL)"
    " AND coalesce(expiry_days, 1) BETWEEN 1 AND 36500 AND (rollover_cap = 0 OR expiry = 'period')"
)


def upgrade() -> None:
    """People can be on plans: for free, by subscription, for life."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("users", sa.Column("suspended_at", sa.DateTime(timezone=True)))
    op.add_column("users", sa.Column("suspended_reason", sa.Text))
    _plans()
    _stripe_prices()
    _plan_orders()
    _subscriptions()
    _subscription_invoices()
    _entitlements()
    _entitlement_periods()


def _plans() -> None:
    for column in (
        sa.Column("expiry", sa.Text, nullable=False, server_default="period"),
        sa.Column("expiry_days", sa.Integer),
        sa.Column("grant_priority", sa.Integer, nullable=False, server_default="0"),
        sa.Column("features", postgresql.ARRAY(sa.Text)),
        sa.Column("trial_days", sa.Integer, nullable=False, server_default="0"),
        sa.Column("trial_credits", sa.BigInteger, nullable=False, server_default="0"),
    ):
        op.add_column("plans", column)
    op.create_check_constraint("plans_terms_check", "plans", TERMS)
    op.create_check_constraint(
        "plans_trial_check", "plans", f"trial_days BETWEEN 0 AND 730 AND trial_credits BETWEEN 0 AND {MOST_CREDITS}"
    )


def _stripe_prices() -> None:
    """Which price of Stripe's means which plan: the only thing that says what a subscription is for."""
    op.create_table(
        "stripe_prices",
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("stripe_price_id", sa.Text, nullable=False),
        sa.Column("stripe_product_id", sa.Text, nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("price_minor", sa.BigInteger, nullable=False),
        sa.Column("billed", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("mode", "stripe_price_id", name="stripe_prices_pkey"),
        sa.UniqueConstraint("mode", "plan", "currency", "price_minor", "billed", name="stripe_prices_plan_key"),
        sa.ForeignKeyConstraint(["plan"], ["plans.code"], name="stripe_prices_plan_fkey"),
        sa.CheckConstraint(MODE, name="stripe_prices_mode_check"),
    )


def _plan_orders() -> None:
    op.create_table(
        "plan_orders",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        # the snapshot: what was promised, for how much, to whom
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("account_id", sa.BigInteger, nullable=False),
        sa.Column("external_id", sa.Text, nullable=False),
        sa.Column("intent", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("plan_name", sa.Text, nullable=False),
        sa.Column("shown_name", sa.Text, nullable=False),
        sa.Column("billed", sa.Text, nullable=False),
        sa.Column("price_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("trial_days", sa.Integer, nullable=False),
        sa.Column("locale", sa.Text, nullable=False),
        sa.Column("return_to", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        # what became of it
        sa.Column("state", sa.Text, nullable=False, server_default="new"),
        sa.Column("reason", sa.Text),
        sa.Column("version", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("stripe_session_id", sa.Text),
        sa.Column("checkout_url", sa.Text),
        sa.Column("stripe_subscription_id", sa.Text),
        sa.Column("stripe_payment_intent_id", sa.Text),
        sa.Column("paid_minor", sa.BigInteger),
        sa.Column("paid_at", sa.DateTime(timezone=True)),
        sa.Column("check_at", sa.DateTime(timezone=True)),
        sa.Column("checks", sa.Integer, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("id", name="plan_orders_pkey"),
        sa.UniqueConstraint("user_id", "intent", "plan", "currency", name="plan_orders_intent_key"),
        sa.UniqueConstraint("stripe_session_id", name="plan_orders_stripe_session_id_key"),
        sa.UniqueConstraint("stripe_payment_intent_id", name="plan_orders_stripe_payment_intent_id_key"),
        sa.CheckConstraint(MODE, name="plan_orders_mode_check"),
        sa.CheckConstraint("billed IN ('monthly', 'yearly', 'once')", name="plan_orders_billed_check"),
        sa.CheckConstraint("price_minor BETWEEN 1 AND 99999999", name="plan_orders_price_check"),
        sa.CheckConstraint(
            "state IN ('new', 'open', 'pending', 'fulfilled', 'failed', 'expired', 'parked')",
            name="plan_orders_state_check",
        ),
        sa.CheckConstraint("state <> 'parked' OR reason IS NOT NULL", name="plan_orders_reason_check"),
    )
    op.create_index(
        "plan_orders_check_at_idx", "plan_orders", ["check_at"], postgresql_where=sa.text("check_at IS NOT NULL")
    )
    op.create_index("plan_orders_user_id_idx", "plan_orders", ["user_id", "id"])
    op.execute(
        """
        CREATE FUNCTION guard_plan_order() RETURNS trigger
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
            IF (OLD.user_id, OLD.account_id, OLD.external_id, OLD.intent, OLD.mode, OLD.plan, OLD.plan_name,
                OLD.shown_name, OLD.billed, OLD.price_minor, OLD.currency, OLD.trial_days, OLD.locale, OLD.return_to,
                OLD.created_at)
               IS DISTINCT FROM
               (NEW.user_id, NEW.account_id, NEW.external_id, NEW.intent, NEW.mode, NEW.plan, NEW.plan_name,
                NEW.shown_name, NEW.billed, NEW.price_minor, NEW.currency, NEW.trial_days, NEW.locale, NEW.return_to,
                NEW.created_at)
               OR OLD.stripe_session_id IS NOT NULL
                  AND NEW.stripe_session_id IS DISTINCT FROM OLD.stripe_session_id THEN
                RAISE EXCEPTION 'the snapshot of plan order % is not to be changed', OLD.id
                    USING ERRCODE = 'integrity_constraint_violation';
            END IF;
            RETURN NEW;
        END
        $$;
        CREATE TRIGGER guard_plan_order BEFORE UPDATE ON plan_orders
            FOR EACH ROW EXECUTE FUNCTION guard_plan_order();
        REVOKE DELETE ON plan_orders FROM tallystick_app;
        """
    )


def _subscriptions() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("stripe_subscription_id", sa.Text, nullable=False),
        sa.Column("stripe_customer_id", sa.Text, nullable=False),
        sa.Column("stripe_item_id", sa.Text),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("account_id", sa.BigInteger, nullable=False),
        sa.Column("external_id", sa.Text, nullable=False),
        # as it stands at Stripe
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("price_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("period_starts_at", sa.DateTime(timezone=True)),
        sa.Column("period_ends_at", sa.DateTime(timezone=True)),
        sa.Column("trial_ends_at", sa.DateTime(timezone=True)),
        sa.Column("cancel_at_period_end", sa.Boolean, nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("stripe_payment_method_id", sa.Text),
        sa.Column("unpaid_invoice_id", sa.Text),
        sa.Column("unpaid_invoice_url", sa.Text),
        # what was decided here
        sa.Column("pending_plan", sa.Text),
        sa.Column("successor_id", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("version", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("check_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="subscriptions_pkey"),
        sa.UniqueConstraint("stripe_subscription_id", name="subscriptions_stripe_subscription_id_key"),
        sa.CheckConstraint(MODE, name="subscriptions_mode_check"),
        sa.CheckConstraint(
            "status IN ('trialing', 'active', 'past_due', 'unpaid', 'canceled', 'incomplete', 'incomplete_expired',"
            " 'paused')",
            name="subscriptions_status_check",
        ),
    )
    op.create_index("subscriptions_user_id_idx", "subscriptions", ["user_id", "id"])
    op.create_index(
        "subscriptions_check_at_idx", "subscriptions", ["check_at"], postgresql_where=sa.text("check_at IS NOT NULL")
    )
    op.execute("REVOKE DELETE ON subscriptions FROM tallystick_app")


def _subscription_invoices() -> None:
    op.create_table(
        "subscription_invoices",
        sa.Column("stripe_invoice_id", sa.Text, nullable=False),
        sa.Column("subscription_id", sa.BigInteger, nullable=False),
        sa.Column("account_id", sa.BigInteger, nullable=False),
        sa.Column("billing_reason", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("total_minor", sa.BigInteger, nullable=False),
        sa.Column("paid_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("stripe_payment_intent_id", sa.Text),
        sa.Column("hosted_url", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True)),
        sa.Column("applied_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("stripe_invoice_id", name="subscription_invoices_pkey"),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscriptions.id"], name="subscription_invoices_subscription_id_fkey"
        ),
    )
    op.create_index("subscription_invoices_subscription_id_idx", "subscription_invoices", ["subscription_id"])
    op.create_index(
        "subscription_invoices_stripe_payment_intent_id_idx",
        "subscription_invoices",
        ["stripe_payment_intent_id"],
        postgresql_where=sa.text("stripe_payment_intent_id IS NOT NULL"),
    )
    op.execute("REVOKE DELETE ON subscription_invoices FROM tallystick_app")


def _entitlements() -> None:
    op.create_table(
        "entitlements",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("account_id", sa.BigInteger, nullable=False),
        sa.Column("external_id", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subscription_id", sa.BigInteger),
        sa.Column("order_id", sa.BigInteger),
        sa.Column("trial", sa.Boolean, nullable=False, server_default=sa.false()),
        # the terms, as they were promised
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("plan_name", sa.Text, nullable=False),
        sa.Column("credits_per_month", sa.BigInteger, nullable=False),
        sa.Column("expiry", sa.Text, nullable=False),
        sa.Column("expiry_days", sa.Integer),
        sa.Column("rollover_cap", sa.BigInteger, nullable=False),
        sa.Column("grant_priority", sa.Integer, nullable=False),
        sa.Column("features", postgresql.ARRAY(sa.Text)),
        # when
        sa.Column("anchor_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True)),
        # what is next, for those that the calendar grants
        sa.Column("next_period", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_at", sa.DateTime(timezone=True)),
        sa.Column("paid_periods", sa.Integer),
        sa.Column("paused", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="entitlements_pkey"),
        sa.UniqueConstraint("subscription_id", "starts_at", "plan", name="entitlements_subscription_id_key"),
        sa.UniqueConstraint("order_id", name="entitlements_order_id_key"),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscriptions.id"], name="entitlements_subscription_id_fkey"),
        sa.ForeignKeyConstraint(["order_id"], ["plan_orders.id"], name="entitlements_order_id_fkey"),
        sa.CheckConstraint(MODE, name="entitlements_mode_check"),
        sa.CheckConstraint(TERMS, name="entitlements_terms_check"),
        sa.CheckConstraint(
            "CASE kind WHEN 'free' THEN num_nonnulls(subscription_id, order_id) = 0"
            " WHEN 'lifetime' THEN order_id IS NOT NULL AND subscription_id IS NULL"
            " WHEN 'monthly' THEN subscription_id IS NOT NULL WHEN 'yearly' THEN subscription_id IS NOT NULL"
            " ELSE false END",
            name="entitlements_kind_check",
        ),
    )
    # One free plan in a life: leaving it and coming back goes on where it was, and grants no month twice.
    op.create_index(
        "entitlements_free_idx",
        "entitlements",
        ["account_id", "mode"],
        unique=True,
        postgresql_where=sa.text("kind = 'free'"),
    )
    op.create_index("entitlements_account_id_idx", "entitlements", ["account_id", "id"])
    op.create_index(
        "entitlements_next_at_idx",
        "entitlements",
        ["next_at"],
        postgresql_where=sa.text("next_at IS NOT NULL AND NOT paused"),
    )
    op.execute("REVOKE DELETE ON entitlements FROM tallystick_app")


def _entitlement_periods() -> None:
    op.create_table(
        "entitlement_periods",
        sa.Column("entitlement_id", sa.BigInteger, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("account_id", sa.BigInteger, nullable=False),
        sa.Column("subscription_id", sa.BigInteger),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("credits", sa.BigInteger, nullable=False),
        sa.Column("rollover_cap", sa.BigInteger, nullable=False),
        sa.Column("grant_id", sa.BigInteger),
        sa.Column("rolled_into", sa.BigInteger),
        sa.Column("stripe_invoice_id", sa.Text),
        sa.Column("cost_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("entitlement_id", "number", name="entitlement_periods_pkey"),
        sa.ForeignKeyConstraint(["entitlement_id"], ["entitlements.id"], name="entitlement_periods_entitlement_fkey"),
        sa.CheckConstraint("starts_at < ends_at", name="entitlement_periods_order_check"),
        sa.CheckConstraint("(credits > 0) = (grant_id IS NOT NULL)", name="entitlement_periods_grant_check"),
    )
    op.create_index(
        "entitlement_periods_stripe_invoice_id_idx",
        "entitlement_periods",
        ["stripe_invoice_id"],
        postgresql_where=sa.text("stripe_invoice_id IS NOT NULL"),
    )
    op.create_index("entitlement_periods_subscription_id_idx", "entitlement_periods", ["subscription_id", "ends_at"])
    op.create_table(
        "entitlement_payments",
        sa.Column("entitlement_id", sa.BigInteger, nullable=False),
        sa.Column("first_period", sa.Integer, nullable=False),
        sa.Column("periods", sa.Integer, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("stripe_invoice_id", sa.Text),
        sa.PrimaryKeyConstraint("entitlement_id", "first_period", name="entitlement_payments_pkey"),
        sa.ForeignKeyConstraint(["entitlement_id"], ["entitlements.id"], name="entitlement_payments_entitlement_fkey"),
        sa.CheckConstraint("periods >= 1 AND amount_minor >= 0", name="entitlement_payments_amount_check"),
    )
    op.execute("REVOKE DELETE ON entitlement_periods, entitlement_payments FROM tallystick_app")
