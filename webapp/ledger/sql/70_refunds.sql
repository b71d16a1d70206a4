-- Giving back what a spend took.

-- p_amount credits of a spend (null: all that is left of it) go back where they came from, the slice taken last
-- first: what had become debt, then the grants in reverse. Of a slice whose grant was revoked meanwhile, what the
-- revoke had made debt of is revoked at once, and owed no longer. A slice whose grant has expired expires at once. A
-- spend that took nothing is given back once, whole, by an entry of nothing.
CREATE OR REPLACE FUNCTION ledger.refund_spend(
    p_account_id bigint, p_seq bigint, p_amount bigint, p_idempotency_key text, p_fingerprint bytea, p_actor text,
    p_reason text DEFAULT '', p_reference text DEFAULT NULL, p_metadata jsonb DEFAULT '{}',
    OUT replayed boolean, OUT entry ledger.entries
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    a ledger.accounts;
    s ledger.entries;            -- the spend
    v_now timestamptz;
    v_before bigint;             -- refunded by earlier refunds
    v_refunds bigint;            -- how many those were
    v_left bigint;               -- of this refund, not yet given back
    v_skip bigint;
    v_slice bigint;
    v_give bigint;
    v_settled bigint;
BEGIN
    IF p_amount IS NOT NULL THEN
        PERFORM ledger.check_amount(p_amount);
    END IF;
    a := ledger.lock_account(p_account_id);
    v_now := greatest(ledger.now(), a.booked_at);
    IF p_idempotency_key IS NOT NULL THEN
        entry := ledger.find_replay(p_account_id, p_idempotency_key, p_fingerprint);
    END IF;
    replayed := entry.seq IS NOT NULL;
    IF replayed THEN
        RETURN;
    END IF;
    SELECT * INTO s FROM ledger.entries WHERE account_id = p_account_id AND seq = p_seq AND kind = 'spend';
    IF NOT FOUND THEN
        PERFORM ledger.refuse('TS003', 'no such spend', jsonb_build_object('seq', p_seq));
    END IF;
    SELECT coalesce(sum(amount), 0), count(*) INTO v_before, v_refunds FROM ledger.entries
    WHERE account_id = p_account_id AND about_seq = p_seq AND kind = 'refund';
    v_left := coalesce(p_amount, -s.amount - v_before);
    IF v_left > -s.amount - v_before OR (v_left = 0 AND (s.amount <> 0 OR v_refunds > 0)) THEN
        PERFORM ledger.refuse('TS007', 'more than is left of this spend',
                              jsonb_build_object('left', -s.amount - v_before, 'seq', p_seq));
    END IF;
    IF a.due_at <= v_now THEN
        a := ledger.book_due(a, v_now);
    END IF;

    entry.kind := 'refund';
    entry.amount := v_left;
    entry.drawn_grants := '{}';
    entry.drawn_amounts := '{}';
    v_skip := v_before;
    -- The slices in reverse; position 0 stands for the part that became debt, which was taken last.
    FOR i IN REVERSE cardinality(s.drawn_grants) + 1 .. 1 LOOP
        EXIT WHEN v_left = 0;
        v_slice := CASE WHEN i > cardinality(s.drawn_grants)
                   THEN -s.amount + coalesce((SELECT sum(n) FROM unnest(s.drawn_amounts) n), 0)
                   ELSE -s.drawn_amounts[i] END;
        v_give := least(v_slice - least(v_skip, v_slice), v_left);
        v_skip := v_skip - least(v_skip, v_slice);
        CONTINUE WHEN v_give = 0;
        v_left := v_left - v_give;
        v_settled := v_give;  -- of this slice, what is debt to be undone
        IF i <= cardinality(s.drawn_grants) THEN
            SELECT least(revoked_as_debt, v_give) INTO STRICT v_settled FROM ledger.grants
            WHERE account_id = p_account_id AND grant_id = s.drawn_grants[i];
            UPDATE ledger.grants
            SET remaining = remaining + v_give - v_settled, open = remaining + v_give > v_settled,
                revoked_taken = revoked_taken + v_settled, revoked_as_debt = revoked_as_debt - v_settled
            WHERE account_id = p_account_id AND grant_id = s.drawn_grants[i];
            entry.drawn_grants := entry.drawn_grants || s.drawn_grants[i];
            entry.drawn_amounts := entry.drawn_amounts || v_give;
            IF v_settled > 0 THEN
                entry.drawn_grants := entry.drawn_grants || s.drawn_grants[i];
                entry.drawn_amounts := entry.drawn_amounts || -v_settled;
            END IF;
        END IF;
        IF v_settled > 0 THEN
            SELECT u.debt, entry.drawn_grants || u.grants, entry.drawn_amounts || u.amounts
            INTO a.debt, entry.drawn_grants, entry.drawn_amounts
            FROM ledger.undo_debt(a, v_settled) u;
        END IF;
    END LOOP;

    entry.about_seq := p_seq;
    entry.feature := s.feature;
    entry.description := p_reason;
    entry.reference := coalesce(p_reference, s.reference);
    entry.metadata := p_metadata;
    entry.idempotency_key := p_idempotency_key;
    entry.fingerprint := p_fingerprint;
    entry.actor := p_actor;
    entry.booked_at := v_now;
    entry := ledger.append(a, entry);
    a := ledger.find_due(ledger.book_expired(ledger.carry(a, entry), v_now, v_now, v_now), v_now);
    PERFORM ledger.save(a);
END
$$;

-- p_amount credits that had become debt are owed no longer: the debt falls, and where a grant has paid it meanwhile
-- that grant gets its credits back, the newest first. Returns the debt after that and the draws.
CREATE OR REPLACE FUNCTION ledger.undo_debt(
    a ledger.accounts, p_amount bigint, OUT debt bigint, OUT grants bigint[], OUT amounts bigint[]
)
LANGUAGE plpgsql AS $$
DECLARE
    g record;
    v_left bigint := p_amount - least(a.debt, p_amount);
    v_give bigint;
BEGIN
    debt := a.debt - least(a.debt, p_amount);
    grants := '{}';
    amounts := '{}';
    IF v_left = 0 THEN
        RETURN;
    END IF;
    FOR g IN
        SELECT grant_id, repaid FROM ledger.grants
        WHERE account_id = a.account_id AND repaid > 0 ORDER BY grant_id DESC
    LOOP
        v_give := least(g.repaid, v_left);
        UPDATE ledger.grants SET remaining = remaining + v_give, open = true, repaid = repaid - v_give
        WHERE account_id = a.account_id AND grant_id = g.grant_id;
        grants := grants || g.grant_id;
        amounts := amounts || v_give;
        v_left := v_left - v_give;
        EXIT WHEN v_left = 0;
    END LOOP;
    IF v_left > 0 THEN
        RAISE EXCEPTION 'account % has paid less debt than is to be undone', a.account_id;
    END IF;
END
$$;
