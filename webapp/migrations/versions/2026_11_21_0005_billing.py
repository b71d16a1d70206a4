"""Billing."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261121_0005"
down_revision = "20261121_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Purchases with a snapshot that nobody changes, Stripe's customers, and Stripe's events as they came."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    _purchases()
    _guard_purchases()
    _stripe_customers()
    _stripe_events()


def _purchases() -> None:
    op.create_table(
        "purchases",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        # the snapshot: what was promised, for how much, to whom
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("account_id", sa.BigInteger, nullable=False),
        sa.Column("external_id", sa.Text, nullable=False),
        sa.Column("intent", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("package", sa.Text, nullable=False),
        sa.Column("package_name", sa.Text, nullable=False),
        sa.Column("shown_name", sa.Text, nullable=False),
        sa.Column("credits", sa.BigInteger, nullable=False),
        sa.Column("price_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("valid_months", sa.Integer),
        sa.Column("valid_days", sa.Integer),
        sa.Column("locale", sa.Text, nullable=False),
        sa.Column("return_to", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        # what became of it
        sa.Column("state", sa.Text, nullable=False, server_default="new"),
        sa.Column("reason", sa.Text),
        sa.Column("version", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("stripe_session_id", sa.Text),
        sa.Column("checkout_url", sa.Text),
        sa.Column("stripe_payment_intent_id", sa.Text),
        sa.Column("receipt_url", sa.Text),
        sa.Column("grant_id", sa.BigInteger),
        sa.Column("paid_at", sa.DateTime(timezone=True)),
        sa.Column("refunded_minor", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("check_at", sa.DateTime(timezone=True)),
        sa.Column("checks", sa.Integer, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("id", name="purchases_pkey"),
        sa.UniqueConstraint("user_id", "intent", "package", "currency", name="purchases_intent_key"),
        sa.UniqueConstraint("stripe_session_id", name="purchases_stripe_session_id_key"),
        sa.UniqueConstraint("stripe_payment_intent_id", name="purchases_stripe_payment_intent_id_key"),
        sa.CheckConstraint("mode IN ('sandbox', 'test', 'live')", name="purchases_mode_check"),
        sa.CheckConstraint("credits BETWEEN 1 AND 1000000000000000", name="purchases_credits_check"),
        sa.CheckConstraint("price_minor BETWEEN 1 AND 99999999", name="purchases_price_check"),
        sa.CheckConstraint(
            "state IN ('new', 'open', 'pending', 'fulfilled', 'failed', 'expired', 'parked')",
            name="purchases_state_check",
        ),
        sa.CheckConstraint(
            "(state = 'fulfilled') = (grant_id IS NOT NULL AND paid_at IS NOT NULL)", name="purchases_grant_check"
        ),
        sa.CheckConstraint("state <> 'parked' OR reason IS NOT NULL", name="purchases_reason_check"),
        sa.CheckConstraint("refunded_minor BETWEEN 0 AND price_minor", name="purchases_refunded_check"),
    )
    op.create_index(
        "purchases_check_at_idx", "purchases", ["check_at"], postgresql_where=sa.text("check_at IS NOT NULL")
    )
    op.create_index("purchases_account_id_idx", "purchases", ["account_id", "id"])
    op.create_index("purchases_parked_idx", "purchases", ["id"], postgresql_where=sa.text("state = 'parked'"))


def _guard_purchases() -> None:
    op.execute(
        """
        CREATE FUNCTION guard_purchase() RETURNS trigger
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
            IF (OLD.user_id, OLD.account_id, OLD.external_id, OLD.intent, OLD.mode, OLD.package, OLD.package_name,
                OLD.shown_name, OLD.credits, OLD.price_minor, OLD.currency, OLD.valid_months, OLD.valid_days,
                OLD.locale, OLD.return_to, OLD.created_at)
               IS DISTINCT FROM
               (NEW.user_id, NEW.account_id, NEW.external_id, NEW.intent, NEW.mode, NEW.package, NEW.package_name,
                NEW.shown_name, NEW.credits, NEW.price_minor, NEW.currency, NEW.valid_months, NEW.valid_days,
                NEW.locale, NEW.return_to, NEW.created_at) THEN
                RAISE EXCEPTION 'the snapshot of purchase % is not to be changed', OLD.id
                    USING ERRCODE = 'integrity_constraint_violation';
            END IF;
            IF OLD.state = 'fulfilled' AND (NEW.state, NEW.grant_id, NEW.paid_at)
                                           IS DISTINCT FROM (OLD.state, OLD.grant_id, OLD.paid_at)
               OR OLD.stripe_session_id IS NOT NULL
                  AND NEW.stripe_session_id IS DISTINCT FROM OLD.stripe_session_id THEN
                RAISE EXCEPTION 'purchase % is fulfilled once, by one payment', OLD.id
                    USING ERRCODE = 'integrity_constraint_violation';
            END IF;
            RETURN NEW;
        END
        $$;
        CREATE TRIGGER guard_purchase BEFORE UPDATE ON purchases
            FOR EACH ROW EXECUTE FUNCTION guard_purchase();
        REVOKE DELETE ON purchases FROM tallystick_app;
        """
    )


def _stripe_customers() -> None:
    op.create_table(
        "stripe_customers",
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("stripe_customer_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "mode", name="stripe_customers_pkey"),
        sa.CheckConstraint("mode IN ('sandbox', 'test', 'live')", name="stripe_customers_mode_check"),
    )


def _stripe_events() -> None:
    op.create_table(
        "stripe_events",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("livemode", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("api_version", sa.Text),
        sa.Column("payload", postgresql.JSONB, nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="received"),
        sa.Column("reason", sa.Text),
        sa.Column("handled_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="stripe_events_pkey"),
        sa.CheckConstraint("state IN ('received', 'handled', 'ignored', 'parked')", name="stripe_events_state_check"),
        sa.CheckConstraint("state <> 'parked' OR reason IS NOT NULL", name="stripe_events_reason_check"),
    )
    op.create_index("stripe_events_received_at_idx", "stripe_events", ["received_at", "id"])
    op.create_index("stripe_events_parked_idx", "stripe_events", ["id"], postgresql_where=sa.text("state = 'parked'"))
    op.execute("REVOKE DELETE ON stripe_events FROM tallystick_app")
