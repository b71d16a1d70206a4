"""The lists of money in the admin pages: an index for each order and filter."""

from alembic import op

revision = "20261121_0036"
down_revision = "20261121_0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Each ends with the id, so that a page is found by the last row of the one before. Writers wait meanwhile."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("CREATE INDEX purchases_state_idx ON purchases (state, id)")
    op.execute("CREATE INDEX purchases_package_idx ON purchases (package, id)")
    op.execute("CREATE INDEX subscriptions_status_idx ON subscriptions (status, id)")
    op.execute("CREATE INDEX subscriptions_plan_idx ON subscriptions (plan, id)")
    op.execute(
        "CREATE INDEX subscription_invoices_created_idx ON subscription_invoices (created_at, stripe_invoice_id)"
    )
    op.execute(
        "CREATE INDEX subscription_invoices_status_idx ON subscription_invoices (status, created_at, stripe_invoice_id)"
    )
    op.execute(
        "CREATE INDEX subscription_invoices_account_idx"
        " ON subscription_invoices (account_id, created_at, stripe_invoice_id)"
    )
    op.execute("CREATE INDEX disputes_opened_idx ON disputes (opened_at, stripe_dispute_id)")
    op.execute("CREATE INDEX disputes_due_idx ON disputes (coalesce(evidence_due_at, opened_at), stripe_dispute_id)")
    op.execute("CREATE INDEX stripe_events_type_idx ON stripe_events (type, received_at, id)")
    op.execute("CREATE INDEX stripe_events_state_idx ON stripe_events (state, received_at, id)")
