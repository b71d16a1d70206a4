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
        v_taken := least(p_target - g.revoked, g.remaining - g.held);
        -- Of the rest, what was spent, paid debt or is held now; not what has expired or was revoked before.
        v_as_debt := least(p_target - g.revoked - v_taken,
                           greatest(g.amount - (g.remaining - g.held) - g.expired - g.revoked_taken
                                    - g.revoked_as_debt, 0));
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
        a := ledger.book_due(ledger.carry(a, e), v_now, v_now);
    ELSE
        e := NULL;
    END IF;
    PERFORM ledger.save(a);
    RETURN e;
END
$$;
