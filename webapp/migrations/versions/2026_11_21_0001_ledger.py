"""Ledger."""

from pathlib import Path

from alembic import op

revision = "20261121_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The schema `ledger`, its tables, and what the application's role may do anywhere."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(
        """
        REVOKE CREATE ON SCHEMA public FROM PUBLIC;
        GRANT USAGE ON SCHEMA public TO tallystick_app;
        ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO tallystick_app;
        ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO tallystick_app;
        """
    )
    op.execute((Path(__file__).parents[2] / "ledger" / "sql" / "tables.sql").read_text(encoding="utf-8"))
