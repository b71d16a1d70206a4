"""First credits: what new people get is said in the catalog, and each person gets it once in a life."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0022"
down_revision = "20261121_0021"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Who has had sign-up credits until now is known by the address from here on."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "sign_up_grants",
        sa.Column("version", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("credits", sa.BigInteger, nullable=False),
        sa.Column("expires_days", sa.Integer),
        sa.Column("confirmed_only", sa.Boolean, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("version", name="sign_up_grants_pkey"),
        sa.CheckConstraint("credits >= 0 AND (expires_days IS NULL OR expires_days > 0)", name="sign_up_grants_check"),
    )
    op.create_table(
        "first_credits",
        sa.Column("person", sa.LargeBinary, nullable=False),
        sa.Column("account_id", sa.BigInteger, nullable=False),
        sa.Column("credits", sa.BigInteger, nullable=False),
        sa.Column("expires_days", sa.Integer),
        sa.Column("promised_at", MOMENT, nullable=False),
        sa.Column("given_at", MOMENT),
        sa.PrimaryKeyConstraint("person", name="first_credits_pkey"),
    )
    op.execute(
        "INSERT INTO first_credits (person, account_id, credits, promised_at, given_at)"
        " SELECT sha256(convert_to(u.email_key, 'UTF8')), u.account_id, g.amount, g.effective_at, g.effective_at"
        " FROM users u JOIN ledger.grants g"
        " ON g.account_id = u.account_id AND g.source_key = 'sign-up:' || u.external_id"
    )
    op.execute("REVOKE UPDATE, DELETE ON sign_up_grants FROM tallystick_app")
    op.execute("REVOKE DELETE ON first_credits FROM tallystick_app")
