-- Sealing: writing down which entry was each account's newest, for an HMAC whose key is not in the database.

CREATE OR REPLACE TRIGGER seals_written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.seals
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_rewrite();
CREATE OR REPLACE TRIGGER sealed_heads_written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.sealed_heads
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_rewrite();

-- Sealers at the same time take turns; each gets the number of its seal, the time, and what it is chained to.
CREATE OR REPLACE FUNCTION ledger.begin_seal(OUT number bigint, OUT sealed_at timestamptz, OUT previous bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM 1 FROM ledger.sealer FOR UPDATE;
    sealed_at := ledger.now();
    SELECT s.number + 1, s.hmac INTO number, previous FROM ledger.seals s ORDER BY s.number DESC LIMIT 1;
    number := coalesce(number, 1);
    previous := coalesce(previous, '');
END
$$;

-- The heads of up to p_limit accounts after p_after that have changed since they were sealed last belong to that seal.
-- An account that nobody has written to since the sealer's up_to is not looked at twice.
CREATE OR REPLACE FUNCTION ledger.seal_heads(p_number bigint, p_after bigint, p_limit integer)
RETURNS TABLE (account_id bigint, seq bigint, head bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_up_to timestamptz;
BEGIN
    SELECT coalesce(up_to, '-infinity') INTO v_up_to FROM ledger.sealer FOR UPDATE;
    IF EXISTS (SELECT 1 FROM ledger.seals s WHERE s.number >= p_number) THEN
        RAISE EXCEPTION 'seal % is closed', p_number;
    END IF;
    RETURN QUERY
        INSERT INTO ledger.sealed_heads (account_id, seq, number, head)
        SELECT a.account_id, a.seq, p_number, a.head FROM ledger.accounts a
        WHERE a.account_id > p_after AND a.seq > 0 AND a.booked_at >= v_up_to
          AND NOT EXISTS (SELECT 1 FROM ledger.sealed_heads h WHERE h.account_id = a.account_id AND h.seq >= a.seq)
        ORDER BY a.account_id LIMIT p_limit
        RETURNING account_id, seq, head;
END
$$;

-- The seal over the heads that were taken for it; p_up_to: all that was booked before is sealed now.
CREATE OR REPLACE FUNCTION ledger.finish_seal(
    p_number bigint, p_sealed_at timestamptz, p_accounts bigint, p_digest bytea, p_previous bytea, p_hmac bytea,
    p_key_id text
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM 1 FROM ledger.sealer FOR UPDATE;
    INSERT INTO ledger.seals (number, sealed_at, accounts, digest, previous, hmac, key_id)
    VALUES (p_number, p_sealed_at, p_accounts, p_digest, p_previous, p_hmac, p_key_id);
END
$$;

-- All accounts were looked at by a sealer that began at p_began. Whoever was writing then may commit up to an hour
-- later, with a booked_at of before.
CREATE OR REPLACE FUNCTION ledger.sealed_all(p_began timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE ledger.sealer SET up_to = greatest(up_to, p_began - interval '1 hour');
END
$$;
