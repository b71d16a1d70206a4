-- Burning credits for a feature.

-- All of p_amount is burnt in burn order, or with p_partial what there is; else it is refused and names what is
-- available. The overdraft limit is part of what there is. A refused key stays unused.
CREATE OR REPLACE FUNCTION ledger.spend(
    p_account_id bigint, p_amount bigint, p_idempotency_key text, p_fingerprint bytea, p_actor text,
    p_feature text DEFAULT NULL, p_quantity bigint DEFAULT NULL, p_partial boolean DEFAULT false,
    p_description text DEFAULT '', p_reference text DEFAULT NULL, p_metadata jsonb DEFAULT '{}',
    p_pricing jsonb DEFAULT NULL, p_occurred_at timestamptz DEFAULT NULL,
    OUT replayed boolean, OUT entry ledger.entries
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    a ledger.accounts;
    g record;
    v_now timestamptz;
    v_left bigint := p_amount;   -- of the amount, not yet drawn
    v_found boolean := true;
    v_take bigint;
    v_grants bigint[] := '{}';
    v_amounts bigint[] := '{}';
BEGIN
    PERFORM ledger.check_amount(p_amount);
    a := ledger.lock_account(p_account_id);
    v_now := greatest(ledger.now(), a.booked_at);
    entry := ledger.find_replay(p_account_id, p_idempotency_key, p_fingerprint);
    replayed := entry.seq IS NOT NULL;
    IF replayed THEN
        RETURN;
    ELSIF p_occurred_at > v_now THEN
        PERFORM ledger.refuse('TS001', 'must not lie in the future', jsonb_build_object('field', 'occurred_at'));
    END IF;
    IF a.due_at <= v_now THEN
        a := ledger.book_due(a, v_now);
    END IF;
    -- Who is in debt may have credits all the same (held, or limited to features): they must cover the debt too.
    IF a.debt > 0 THEN
        v_left := least(v_left, ledger.spendable_now(a, p_feature, v_now));
        IF v_left < p_amount AND (NOT p_partial OR v_left = 0) THEN
            PERFORM ledger.refuse_spend(p_amount, v_left);
        END IF;
        entry.amount := -v_left;
    END IF;

    -- A few grants a time, so that the burn-order index serves them sorted however many there are.
    WHILE v_left > 0 AND v_found LOOP
        v_found := false;
        FOR g IN
            SELECT grant_id, remaining - held AS free FROM ledger.grants
            WHERE account_id = p_account_id AND open AND remaining > held AND NOT frozen AND effective_at <= v_now
              AND (expires_at IS NULL OR expires_at > v_now) AND (features IS NULL OR p_feature = ANY (features))
            ORDER BY priority, expires_at, burn_rank, effective_at, grant_id
            LIMIT 8
        LOOP
            v_found := true;
            v_take := least(g.free, v_left);
            UPDATE ledger.grants SET remaining = remaining - v_take
            WHERE account_id = p_account_id AND grant_id = g.grant_id;
            v_grants := v_grants || g.grant_id;
            v_amounts := v_amounts || -v_take;
            v_left := v_left - v_take;
            EXIT WHEN v_left = 0;
        END LOOP;
    END LOOP;
    IF v_left > 0 AND entry.amount IS NULL THEN
        v_take := least(v_left, a.overdraft_limit);
        IF v_take < v_left AND (NOT p_partial OR v_take + p_amount - v_left = 0) THEN
            PERFORM ledger.refuse_spend(p_amount, p_amount - v_left + a.overdraft_limit);
        END IF;
        entry.amount := -(p_amount - v_left + v_take);
        v_left := v_take;
    END IF;
    a.debt := a.debt + v_left;

    entry.kind := 'spend';
    entry.amount := coalesce(entry.amount, -p_amount);
    entry.drawn_grants := v_grants;
    entry.drawn_amounts := v_amounts;
    entry.feature := p_feature;
    entry.quantity := p_quantity;
    entry.description := p_description;
    entry.reference := p_reference;
    entry.metadata := p_metadata;
    entry.pricing := p_pricing;
    entry.idempotency_key := p_idempotency_key;
    entry.fingerprint := p_fingerprint;
    entry.actor := p_actor;
    entry.occurred_at := p_occurred_at;
    entry.booked_at := v_now;
    entry := ledger.append(a, entry);
    PERFORM ledger.save(ledger.carry(a, entry));
END
$$;

CREATE OR REPLACE FUNCTION ledger.refuse_spend(p_required bigint, p_available bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM ledger.refuse('TS004', 'not enough credits',
                          jsonb_build_object('required', p_required, 'available', greatest(p_available, 0)));
END
$$;

-- What a spend on p_feature could take at p_moment from account `a`, whose due expiries may still be unbooked.
CREATE OR REPLACE FUNCTION ledger.spendable_now(a ledger.accounts, p_feature text, p_moment timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT greatest(coalesce(sum(remaining - held), 0)::bigint - a.debt + a.overdraft_limit, 0)
        FROM ledger.grants
        WHERE account_id = a.account_id AND open AND NOT frozen AND effective_at <= p_moment
          AND (expires_at IS NULL OR expires_at > p_moment) AND (features IS NULL OR p_feature = ANY (features)));
END
$$;
