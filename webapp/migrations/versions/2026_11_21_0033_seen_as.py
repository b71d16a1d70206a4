"""Customers' pages as somebody with a role sees them; what people search by; who has a role."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0033"
down_revision = "20261121_0032"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
# What Stripe's objects are called by, and what they say of each other; an expanded object is cut, as it finds nothing.
IDS = ("id", "customer", "payment_intent", "charge", "latest_charge", "subscription", "invoice")
IDS_OF_EVENT = "ARRAY[" + ", ".join(f"left(payload #>> '{{data,object,{name}}}', 255)" for name in IDS) + "]"


def upgrade() -> None:
    """Writers to people and Stripe's events wait while their indexes are built."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    _seen_as()
    _note_the_end()
    op.execute("CREATE INDEX users_role_idx ON users (role, id) WHERE role IS NOT NULL")
    op.execute("CREATE INDEX users_email_key_prefix_idx ON users (email_key text_pattern_ops)")
    op.execute("CREATE INDEX audit_log_who_idx ON audit_log (who, id)")
    op.execute("CREATE INDEX subscriptions_stripe_customer_id_idx ON subscriptions (stripe_customer_id)")
    op.execute(
        "CREATE INDEX plan_orders_stripe_subscription_id_idx ON plan_orders (stripe_subscription_id)"
        " WHERE stripe_subscription_id IS NOT NULL"
    )
    # Without a list of pending keys, which each search would have to read whole.
    op.execute(
        f"CREATE INDEX stripe_events_ids_idx ON stripe_events USING gin (({IDS_OF_EVENT})) WITH (fastupdate = off)"
    )


def _seen_as() -> None:
    """One row while somebody sees an account's pages; it ends with their session."""
    op.create_table(
        "seen_as",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("session_id", sa.BigInteger, nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("ip", sa.Text, nullable=False),
        sa.Column("account_id", sa.BigInteger, nullable=False),
        sa.Column("external_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("locale", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("began_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="seen_as_pkey"),
        sa.UniqueConstraint("session_id", name="seen_as_session_id_key"),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name="seen_as_session_id_fkey", ondelete="CASCADE"),
        sa.CheckConstraint("reason <> ''", name="seen_as_reason_check"),
        sa.CheckConstraint(
            "expires_at > began_at AND expires_at <= began_at + interval '30 minutes'", name="seen_as_expires_at_check"
        ),
    )
    op.create_index("seen_as_expires_at_idx", "seen_as", ["expires_at"])


def _note_the_end() -> None:
    """However it ends, by "stop", by itself, with a session or a person: the audit log has a line of it."""
    op.execute(
        """
        CREATE FUNCTION note_end_of_seeing() RETURNS trigger
        LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
        BEGIN
            INSERT INTO audit_log (at, user_id, who, ip, act, subject, account_id, reason, before, after, credits,
                                   price_minor, currency)
            VALUES (ledger.now(), OLD.user_id, OLD.who, OLD.ip, 'account.see_as_end', 'account:' || OLD.account_id,
                    OLD.account_id, OLD.reason, jsonb_build_object('seen_from', jsonb_build_object('at', OLD.began_at)),
                    jsonb_build_object('seen_until',
                                       jsonb_build_object('at', least(clock_timestamp(), OLD.expires_at))),
                    0, 0, '');
            RETURN NULL;
        END
        $$
        """
    )
    op.execute(
        "CREATE TRIGGER end_of_seeing_is_noted AFTER DELETE ON seen_as"
        " FOR EACH ROW EXECUTE FUNCTION note_end_of_seeing()"
    )
