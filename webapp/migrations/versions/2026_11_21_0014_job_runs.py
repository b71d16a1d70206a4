"""What periodic jobs did, and when."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "20261121_0014"
down_revision = "20261121_0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One row for each run; one whose process was killed has no end."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "job_runs",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("outcome", sa.Text),
        sa.Column("counts", JSONB, nullable=False, server_default="{}"),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("id", name="job_runs_pkey"),
        sa.CheckConstraint("outcome IN ('done', 'failed')", name="job_runs_outcome_check"),
        sa.CheckConstraint("(outcome IS NULL) = (finished_at IS NULL)", name="job_runs_end_check"),
    )
    op.create_index("job_runs_name_id_idx", "job_runs", ["name", "id"])
    op.create_index("job_runs_started_at_idx", "job_runs", ["started_at"])
