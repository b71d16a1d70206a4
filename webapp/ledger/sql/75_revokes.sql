-- Taking back a grant, or part of it, because its payment was refunded or disputed.

-- p_target credits of the grant are revoked in total, whatever was before: more are revoked, or some restored.
-- What remains is taken; what was spent becomes debt; what had expired is gone anyway. Restoring undoes that in
-- reverse. Null when nothing had to change.
CREATE OR REPLACE FUNCTION ledger.revoke(
    p_account_id bigint, p_grant_id bigint, p_target bigint, p_actor text, p_reason text DEFAULT '',
    p_reference text DEFAULT NULL, p_metadata jsonb DEFAULT '{}'
) RETURNS ledger.entries
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    a ledger.accounts;
    g ledger.grants;
    e ledger.entries;
    v_now timestamptz;
    v_taken bigint;
    v_as_debt bigint;
BEGIN
    a := ledger.lock_account(p_account_id);
    v_now := greatest(ledger.now(), a.booked_at);
    IF a.due_at <= v_now THEN
        a := ledger.book_due(a, v_now);
    END IF;
    SELECT * INTO g FROM ledger.grants WHERE account_id = p_account_id AND grant_id = p_grant_id;
    IF NOT FOUND THEN
        PERFORM ledger.refuse('TS003', 'no such grant', jsonb_build_object('seq', p_grant_id));
    ELSIF p_target IS NULL OR p_target NOT BETWEEN 0 AND g.amount THEN
        PERFORM ledger.refuse('TS008', 'must be from 0 to the amount of the grant',
                              jsonb_build_object('field', 'target', 'amount', g.amount));
    END IF;

    IF p_target >= g.revoked THEN
        SELECT r.taken, r.as_debt INTO v_taken, v_as_debt FROM ledger.reach(g, p_target - g.revoked) r;
        a.debt := a.debt + v_as_debt;
        e.kind := 'revoke';
        IF v_taken > 0 THEN
            e.drawn_grants := ARRAY[g.grant_id];
            e.drawn_amounts := ARRAY[-v_taken];
        END IF;
    ELSE
        -- First what had expired (it had no effect), then the debt, then the credits taken.
        v_as_debt := least(greatest(g.revoked_taken + g.revoked_as_debt - p_target, 0), g.revoked_as_debt);
        v_taken := greatest(g.revoked_taken - p_target, 0);
        e.kind := 'restore';
        IF v_as_debt > 0 THEN
            SELECT u.debt, u.grants, u.amounts INTO a.debt, e.drawn_grants, e.drawn_amounts
            FROM ledger.undo_debt(a, v_as_debt) u;
        END IF;
        IF v_taken > 0 THEN
            e.drawn_grants := coalesce(e.drawn_grants, '{}') || g.grant_id;
            e.drawn_amounts := coalesce(e.drawn_amounts, '{}') || v_taken;
        END IF;
        v_taken := -v_taken;
        v_as_debt := -v_as_debt;
    END IF;
    UPDATE ledger.grants
    SET remaining = remaining - v_taken, open = remaining > v_taken, revoked = p_target, revoked_taken = revoked_taken + v_taken,
        revoked_as_debt = revoked_as_debt + v_as_debt
    WHERE account_id = p_account_id AND grant_id = p_grant_id AND revoked <> p_target;
    IF v_taken + v_as_debt <> 0 THEN
        e.amount := -(v_taken + v_as_debt);
        e.about_seq := p_grant_id;
        e.description := p_reason;
        e.reference := p_reference;
        e.metadata := p_metadata;
        e.actor := p_actor;
        e.booked_at := v_now;
        e := ledger.append(a, e);
        a := ledger.find_due(ledger.book_expired(ledger.carry(a, e), v_now, v_now, v_now), v_now);
    ELSE
        e := NULL;
    END IF;
    PERFORM ledger.save(a);
    RETURN e;
END
$$;

-- How p_more credits can be revoked of the grant now: what remains free is taken; what was spent, or paid debt, becomes
-- debt. What has expired is gone already. What a hold has reserved is neither left nor spent: it waits for the hold.
CREATE OR REPLACE FUNCTION ledger.reach(g ledger.grants, p_more bigint, OUT taken bigint, OUT as_debt bigint)
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    taken := least(p_more, g.remaining - g.held);
    as_debt := least(p_more - taken,
                     greatest(g.amount - g.remaining - g.expired - g.revoked_taken - g.revoked_as_debt, 0));
END
$$;

-- A hold on these grants has closed: what their revokes could not reach while it was open is reached now, by an entry
-- of its own that repeats the reason of the newest revoke. So the state depends on the target, not on the order.
CREATE OR REPLACE FUNCTION ledger.reach_targets(
    INOUT a ledger.accounts, p_grants bigint[], p_moment timestamptz, p_occurred_at timestamptz
)
LANGUAGE plpgsql AS $$
DECLARE
    g ledger.grants;
    e ledger.entries;
    r record;
BEGIN
    FOR g IN
        SELECT * FROM ledger.grants
        WHERE account_id = a.account_id AND grant_id = ANY (p_grants) AND revoked > revoked_taken + revoked_as_debt
        ORDER BY grant_id
    LOOP
        SELECT * INTO r FROM ledger.reach(g, g.revoked - g.revoked_taken - g.revoked_as_debt);
        CONTINUE WHEN r.taken + r.as_debt = 0;
        UPDATE ledger.grants
        SET remaining = remaining - r.taken, open = remaining > r.taken, revoked_taken = revoked_taken + r.taken,
            revoked_as_debt = revoked_as_debt + r.as_debt
        WHERE account_id = a.account_id AND grant_id = g.grant_id;
        e := NULL;
        SELECT description, reference, metadata INTO e.description, e.reference, e.metadata FROM ledger.entries
        WHERE account_id = a.account_id AND about_seq = g.grant_id AND kind = 'revoke' ORDER BY seq DESC LIMIT 1;
        e.kind := 'revoke';
        e.amount := -(r.taken + r.as_debt);
        IF r.taken > 0 THEN
            e.drawn_grants := ARRAY[g.grant_id];
            e.drawn_amounts := ARRAY[-r.taken];
        END IF;
        e.about_seq := g.grant_id;
        e.actor := 'ledger';
        e.occurred_at := p_occurred_at;
        e.booked_at := p_moment;
        a.debt := a.debt + r.as_debt;
        e := ledger.append(a, e);
        a := ledger.carry(a, e);
    END LOOP;
END
$$;
