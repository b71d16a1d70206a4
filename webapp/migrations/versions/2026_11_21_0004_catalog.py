"""Catalog."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0004"
down_revision = "20261121_0003"
branch_labels = None
depends_on = None

CODE = "^[a-z0-9]+(-[a-z0-9]+)*$"
MOST_CREDITS = 10**15
MOST_MINOR = 99_999_999  # what Stripe takes in one payment, whatever the currency


def upgrade() -> None:
    """Packages, plans, features and the rate card: what is sold, for how much, and what a credit buys."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    _packages()
    _plans()
    _rate_cards()


def _packages() -> None:
    op.create_table(
        "packages",
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False, server_default=""),
        sa.Column("credits", sa.BigInteger, nullable=False),
        sa.Column("valid_months", sa.Integer),
        sa.Column("valid_days", sa.Integer),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("popular", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("who_may_buy", sa.Text, nullable=False, server_default="everyone"),
        sa.PrimaryKeyConstraint("code", name="packages_pkey"),
        sa.CheckConstraint(f"code ~ '{CODE}' AND length(code) <= 64", name="packages_code_check"),
        sa.CheckConstraint(f"credits BETWEEN 1 AND {MOST_CREDITS}", name="packages_credits_check"),
        sa.CheckConstraint(
            "num_nonnulls(valid_months, valid_days) <= 1"
            " AND coalesce(valid_months, 1) BETWEEN 1 AND 1200 AND coalesce(valid_days, 1) BETWEEN 1 AND 36500",
            name="packages_valid_check",
        ),
        sa.CheckConstraint("who_may_buy IN ('everyone', 'subscribers')", name="packages_who_may_buy_check"),
    )
    op.create_table(
        "package_prices",
        sa.Column("package", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("price_minor", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("package", "currency", name="package_prices_pkey"),
        sa.ForeignKeyConstraint(["package"], ["packages.code"], name="package_prices_package_fkey"),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name="package_prices_currency_check"),
        sa.CheckConstraint(f"price_minor BETWEEN 1 AND {MOST_MINOR}", name="package_prices_price_check"),
    )


def _plans() -> None:
    op.create_table(
        "plans",
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False, server_default=""),
        sa.Column("credits_per_month", sa.BigInteger, nullable=False),
        sa.Column("rollover_cap", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("billed", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.PrimaryKeyConstraint("code", name="plans_pkey"),
        sa.CheckConstraint(f"code ~ '{CODE}' AND length(code) <= 64", name="plans_code_check"),
        sa.CheckConstraint(f"credits_per_month BETWEEN 1 AND {MOST_CREDITS}", name="plans_credits_check"),
        sa.CheckConstraint(f"rollover_cap BETWEEN 0 AND {MOST_CREDITS}", name="plans_rollover_check"),
        sa.CheckConstraint("billed IN ('never', 'monthly', 'yearly', 'once')", name="plans_billed_check"),
    )
    op.create_table(
        "plan_prices",
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("price_minor", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("plan", "currency", name="plan_prices_pkey"),
        sa.ForeignKeyConstraint(["plan"], ["plans.code"], name="plan_prices_plan_fkey"),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name="plan_prices_currency_check"),
        sa.CheckConstraint(f"price_minor BETWEEN 1 AND {MOST_MINOR}", name="plan_prices_price_check"),
    )


def _rate_cards() -> None:
    op.create_table(
        "features",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False, server_default=""),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("key", name="features_pkey"),
        sa.CheckConstraint(f"key ~ '{CODE}' AND length(key) <= 64", name="features_key_check"),
    )
    op.create_table(
        "rate_cards",
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("version", name="rate_cards_pkey"),
        sa.CheckConstraint("version >= 1", name="rate_cards_version_check"),
    )
    op.create_table(
        "rates",
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("feature", sa.Text, nullable=False),
        sa.Column("credits_per_unit", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("version", "feature", name="rates_pkey"),
        sa.ForeignKeyConstraint(["version"], ["rate_cards.version"], name="rates_version_fkey"),
        sa.ForeignKeyConstraint(["feature"], ["features.key"], name="rates_feature_fkey"),
        sa.CheckConstraint(f"credits_per_unit BETWEEN 1 AND {MOST_CREDITS}", name="rates_credits_check"),
    )
    # A published rate card is what entries were charged by: it is followed by a new version, never edited.
    op.execute("REVOKE UPDATE, DELETE ON rate_cards, rates FROM tallystick_app")
