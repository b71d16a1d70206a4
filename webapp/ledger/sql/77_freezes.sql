-- Keeping what is left of a grant from being spent while somebody disputes its payment.

-- The grant's free remainder pays for nothing until every freeze of it is lifted; each is named by what it is for.
-- What a hold has reserved stays reserved, and time goes on. Returns whether that changed anything.
CREATE OR REPLACE FUNCTION ledger.freeze(
    p_account_id bigint, p_grant_id bigint, p_reference text, p_actor text, p_reason text DEFAULT ''
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    a ledger.accounts;
    v_now timestamptz;
BEGIN
    IF coalesce(p_reference, '') = '' THEN
        PERFORM ledger.refuse('TS001', 'must say what it is frozen for', jsonb_build_object('field', 'reference'));
    END IF;
    a := ledger.lock_account(p_account_id);
    PERFORM ledger.check_grant(p_account_id, p_grant_id);
    IF ledger.is_frozen(p_account_id, p_grant_id, p_reference) THEN
        RETURN false;
    END IF;
    v_now := greatest(ledger.now(), a.booked_at);
    a := ledger.book_due(a, v_now);
    INSERT INTO ledger.freezes (
        account_id, number, grant_id, reference, reason, actor, frozen_at, frozen_after, frozen_version)
    VALUES (
        p_account_id,
        (SELECT coalesce(max(number), 0) + 1 FROM ledger.freezes WHERE account_id = p_account_id),
        p_grant_id, p_reference, p_reason, p_actor, v_now, a.seq, a.version + 1);
    UPDATE ledger.grants SET frozen = true WHERE account_id = p_account_id AND grant_id = p_grant_id AND NOT frozen;
    PERFORM ledger.save(ledger.find_due(a, v_now));
    RETURN true;
END
$$;

-- The freeze of that name is lifted. Returns whether there was one.
CREATE OR REPLACE FUNCTION ledger.unfreeze(p_account_id bigint, p_grant_id bigint, p_reference text, p_actor text)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    a ledger.accounts;
    v_now timestamptz;
BEGIN
    a := ledger.lock_account(p_account_id);
    PERFORM ledger.check_grant(p_account_id, p_grant_id);
    IF NOT ledger.is_frozen(p_account_id, p_grant_id, p_reference) THEN
        RETURN false;
    END IF;
    v_now := greatest(ledger.now(), a.booked_at);
    a := ledger.book_due(a, v_now);
    UPDATE ledger.freezes
    SET unfrozen_at = greatest(v_now, frozen_at), unfrozen_by = p_actor, unfrozen_after = a.seq,
        unfrozen_version = a.version + 1
    WHERE account_id = p_account_id AND grant_id = p_grant_id AND reference = p_reference AND unfrozen_at IS NULL;
    UPDATE ledger.grants SET frozen = ledger.is_frozen(p_account_id, p_grant_id, NULL)
    WHERE account_id = p_account_id AND grant_id = p_grant_id;
    PERFORM ledger.save(ledger.find_due(a, v_now));
    RETURN true;
END
$$;

-- Whether there is a freeze of the grant for p_reference; null: for anything.
CREATE OR REPLACE FUNCTION ledger.is_frozen(p_account_id bigint, p_grant_id bigint, p_reference text) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (
        SELECT 1 FROM ledger.freezes
        WHERE account_id = p_account_id AND grant_id = p_grant_id AND unfrozen_at IS NULL
          AND (p_reference IS NULL OR reference = p_reference));
END
$$;

CREATE OR REPLACE FUNCTION ledger.check_grant(p_account_id bigint, p_grant_id bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM ledger.grants WHERE account_id = p_account_id AND grant_id = p_grant_id) THEN
        PERFORM ledger.refuse('TS003', 'no such grant', jsonb_build_object('seq', p_grant_id));
    END IF;
END
$$;
