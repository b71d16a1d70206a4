"""Finding what is too old to keep: answers of the API, and sessions that have ended."""

from alembic import op

revision = "20261121_0012"
down_revision = "20261121_0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Both are deleted by age, a chunk at a time, without reading the whole table."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_index("api_answers_created_at_idx", "api_answers", ["created_at"])
    op.create_index("sessions_expires_at_idx", "sessions", ["expires_at"])
