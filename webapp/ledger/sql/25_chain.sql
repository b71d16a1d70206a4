-- The hash chain of many entries in one statement.

-- The head of a chain after one more entry: its first time the account's head, then the hash before.
CREATE OR REPLACE FUNCTION ledger.next_hash(p_hash bytea, p_head bytea, p_content bytea) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN sha256(coalesce(p_hash, p_head) || p_content);
END
$$;

-- As a window function, in the order of seq: the hash of each entry, which covers the one before.
CREATE OR REPLACE AGGREGATE ledger.chain(p_head bytea, p_content bytea) (SFUNC = ledger.next_hash, STYPE = bytea);
