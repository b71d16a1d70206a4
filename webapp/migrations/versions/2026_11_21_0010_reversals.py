"""Money that went back: refunds and disputes."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0010"
down_revision = "20261121_0009"
branch_labels = None
depends_on = None

MODES = "mode IN ('sandbox', 'test', 'live')"


def upgrade() -> None:
    """Refunds are written down before Stripe is asked, disputes as Stripe knows them, and what they cost a purchase."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    _lost_money()
    _refunds()
    _disputes()


def _lost_money() -> None:
    """Refunded and lost together never exceed the price."""
    op.add_column("purchases", sa.Column("lost_minor", sa.BigInteger, nullable=False, server_default="0"))
    op.create_check_constraint(
        "purchases_lost_check", "purchases", "lost_minor >= 0 AND refunded_minor + lost_minor <= price_minor"
    )


def _refunds() -> None:
    op.create_table(
        "refunds",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("purchase_id", sa.BigInteger, nullable=False),
        sa.Column("intent", sa.Text, comment="the asker's name for it; null: it was made at Stripe, not here"),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="new"),
        sa.Column("failure", sa.Text),
        sa.Column("stripe_refund_id", sa.Text),
        sa.PrimaryKeyConstraint("id", name="refunds_pkey"),
        sa.ForeignKeyConstraint(["purchase_id"], ["purchases.id"], name="refunds_purchase_id_fkey"),
        sa.UniqueConstraint("purchase_id", "intent", name="refunds_intent_key"),
        sa.UniqueConstraint("stripe_refund_id", name="refunds_stripe_refund_id_key"),
        sa.CheckConstraint("amount_minor > 0", name="refunds_amount_check"),
        sa.CheckConstraint("intent IS NOT NULL OR stripe_refund_id IS NOT NULL", name="refunds_intent_check"),
        sa.CheckConstraint(
            "(state IN ('new', 'refused')) = (stripe_refund_id IS NULL)", name="refunds_stripe_refund_id_check"
        ),
    )
    op.execute("REVOKE DELETE ON refunds FROM tallystick_app")


def _disputes() -> None:
    op.create_table(
        "disputes",
        sa.Column("stripe_dispute_id", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("purchase_id", sa.BigInteger, comment="null: of another payment of ours"),
        sa.Column("stripe_payment_intent_id", sa.Text, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False, comment="the buyer's, in Stripe's words"),
        sa.Column("status", sa.Text, nullable=False, comment="Stripe's"),
        sa.Column("state", sa.Text, nullable=False, comment="ours"),
        sa.Column("funds", sa.Text, comment="where the money is"),
        sa.Column("evidence_due_at", sa.DateTime(timezone=True)),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), comment="when we learnt that it was decided"),
        sa.PrimaryKeyConstraint("stripe_dispute_id", name="disputes_pkey"),
        sa.ForeignKeyConstraint(["purchase_id"], ["purchases.id"], name="disputes_purchase_id_fkey"),
        sa.CheckConstraint(MODES, name="disputes_mode_check"),
        sa.CheckConstraint("state IN ('asked', 'open', 'lost', 'over', 'parked')", name="disputes_state_check"),
        sa.CheckConstraint("funds IN ('withdrawn', 'reinstated')", name="disputes_funds_check"),
    )
    op.create_index("disputes_purchase_id_idx", "disputes", ["purchase_id"])
    op.create_index("disputes_payment_intent_idx", "disputes", ["stripe_payment_intent_id"])
    op.create_index(
        "disputes_unsettled_idx", "disputes", ["opened_at"], postgresql_where=sa.text("state IN ('open', 'parked')")
    )
    op.execute("REVOKE DELETE ON disputes FROM tallystick_app")
