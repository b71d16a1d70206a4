"""Whether anybody but the ledger's functions could write the ledger: rights and triggers."""

from typing import Any

from psycopg import Connection

from webapp.ledger.proof.facts import Finding

APP_ROLE = "tallystick_app"

_RIGHTS = """
SELECT 'may write ' || c.relname AS detail FROM pg_class c
WHERE c.relnamespace = 'ledger'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
  AND (has_table_privilege(%(role)s, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
       OR has_any_column_privilege(%(role)s, c.oid, 'INSERT, UPDATE'))
UNION ALL SELECT 'owns ' || c.relname FROM pg_class c
WHERE c.relnamespace = 'ledger'::regnamespace AND pg_has_role(%(role)s, c.relowner, 'MEMBER')
UNION ALL SELECT 'owns function ' || p.proname FROM pg_proc p
WHERE p.pronamespace = 'ledger'::regnamespace AND pg_has_role(%(role)s, p.proowner, 'MEMBER')
UNION ALL SELECT 'may create things in the schema' WHERE has_schema_privilege(%(role)s, 'ledger', 'CREATE')
UNION ALL SELECT 'is a superuser' FROM pg_roles WHERE rolname = %(role)s AND rolsuper
"""
# Bits of tgtype: before 2, DELETE 8, UPDATE 16, TRUNCATE 32.
_UNGUARDED = """
SELECT guarded.name
FROM (VALUES ('entries', 'refuse_rewrite', 58), ('seals', 'refuse_rewrite', 58),
             ('sealed_heads', 'refuse_rewrite', 58), ('grants', 'refuse_removal', 42),
             ('accounts', 'refuse_removal', 42), ('account_ids', 'refuse_removal', 42),
             ('holds', 'refuse_removal', 42), ('freezes', 'refuse_removal', 42)) AS guarded (name, guard, events)
WHERE NOT EXISTS (
    SELECT 1 FROM pg_trigger
    WHERE tgrelid = to_regclass('ledger.' || guarded.name) AND tgfoid = to_regproc('ledger.' || guarded.guard)
      AND tgenabled IN ('O', 'A') AND tgtype & events = events AND tgqual IS NULL AND tgattr = '')
"""


def find_unguarded(connection: Connection[Any]) -> list[Finding]:
    """Invariant 12: the application's role can write nothing here, and its owner's triggers are in place."""
    rights = connection.execute(_RIGHTS, {"role": APP_ROLE}).fetchall()
    names = connection.execute(_UNGUARDED).fetchall()
    return [
        *(Finding(12, None, None, f"the application's role {detail}") for (detail,) in rights),
        *(Finding(12, None, None, f"no trigger guards {name} against being rewritten or removed") for (name,) in names),
    ]
