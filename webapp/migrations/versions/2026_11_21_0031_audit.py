"""Who did what in the admin pages, written once; acts that wait for a second person; when a password was last typed."""

from alembic import op

revision = "20261121_0031"
down_revision = "20261121_0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Lines of the audit log name people by address, for they stay when the person has left."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE sessions ADD COLUMN password_at timestamptz")
    op.execute(
        """
        CREATE TABLE approvals (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            act text NOT NULL,
            arguments jsonb NOT NULL,
            reason text NOT NULL,
            submission uuid NOT NULL UNIQUE,
            subject text NOT NULL,
            account_id bigint,
            credits bigint NOT NULL,
            price_minor bigint NOT NULL,
            currency text NOT NULL,
            asked_by bigint NOT NULL,
            asked_by_who text NOT NULL,
            asked_by_actor text NOT NULL,
            asked_at timestamptz NOT NULL,
            decided_by bigint,
            decided_by_who text,
            decided_at timestamptz,
            decision text CHECK (decision IN ('approved', 'declined')),
            CHECK ((decision IS NULL) = (decided_at IS NULL)),
            CHECK (decided_by IS DISTINCT FROM asked_by OR decision = 'declined')
        )
        """
    )
    op.execute("CREATE INDEX approvals_waiting_idx ON approvals (id) WHERE decision IS NULL")
    op.execute("REVOKE DELETE ON approvals FROM tallystick_app")
    op.execute(
        """
        CREATE TABLE audit_log (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            at timestamptz NOT NULL,
            user_id bigint,
            who text NOT NULL,
            ip text NOT NULL,
            act text NOT NULL,
            subject text NOT NULL,
            account_id bigint,
            reason text NOT NULL,
            before jsonb NOT NULL,
            after jsonb NOT NULL,
            credits bigint NOT NULL,
            price_minor bigint NOT NULL,
            currency text NOT NULL,
            submission uuid UNIQUE,
            approval_id bigint REFERENCES approvals
        )
        """
    )
    op.execute("CREATE INDEX audit_log_subject_idx ON audit_log (subject, id)")
    op.execute("CREATE INDEX audit_log_account_idx ON audit_log (account_id, id) WHERE account_id IS NOT NULL")
    op.execute("CREATE INDEX audit_log_user_idx ON audit_log (user_id, id)")
    op.execute("CREATE INDEX audit_log_act_idx ON audit_log (act, id)")
    op.execute("REVOKE UPDATE, DELETE ON audit_log FROM tallystick_app")
    op.execute(
        """
        CREATE FUNCTION refuse_audit_rewrite() RETURNS trigger
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
            RAISE EXCEPTION 'the audit log is written once: % is refused', TG_OP;
        END
        $$
        """
    )
    op.execute(
        "CREATE TRIGGER audit_log_written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_rewrite()"
    )
