-- Putting credits into an account.

-- The account has one more lot of credits, which first pays its debt. The same source_key with the same content
-- gives the first entry again, with other content it is refused. One that is booked late counts from p_occurred_at,
-- and p_about_seq names the grant whose expired remainder it carries on.
CREATE OR REPLACE FUNCTION ledger.grant(
    p_account_id bigint, p_amount bigint, p_source text, p_actor text, p_fingerprint bytea,
    p_source_key text DEFAULT NULL, p_expires_at timestamptz DEFAULT NULL, p_priority integer DEFAULT 0,
    p_effective_at timestamptz DEFAULT NULL, p_features text[] DEFAULT NULL, p_cost_minor bigint DEFAULT 0,
    p_cost_currency text DEFAULT NULL, p_description text DEFAULT '', p_reference text DEFAULT NULL,
    p_metadata jsonb DEFAULT '{}', p_idempotency_key text DEFAULT NULL, p_occurred_at timestamptz DEFAULT NULL,
    p_about_seq bigint DEFAULT NULL,
    OUT replayed boolean, OUT entry ledger.entries
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    a ledger.accounts;
    v_now timestamptz;
    v_occurred_at timestamptz;
    v_effective_at timestamptz;
    v_repaid bigint;
    v_earlier record;
BEGIN
    PERFORM ledger.check_amount(p_amount);
    IF coalesce(p_cost_minor, -1) < 0 OR (p_cost_minor > 0 AND p_cost_currency IS NULL) THEN
        PERFORM ledger.refuse('TS001', 'must not be negative, and needs a currency',
                              jsonb_build_object('field', 'cost_minor'));
    ELSIF cardinality(p_features) = 0 THEN
        PERFORM ledger.refuse('TS001', 'must name a feature, or be left out for all',
                              jsonb_build_object('field', 'features'));
    END IF;
    a := ledger.lock_account(p_account_id);
    v_now := greatest(ledger.now(), a.booked_at);

    replayed := true;
    IF p_source_key IS NOT NULL THEN
        SELECT grant_id, fingerprint INTO v_earlier FROM ledger.grants
        WHERE account_id = p_account_id AND source_key = p_source_key;
        IF FOUND AND v_earlier.fingerprint <> p_fingerprint THEN
            PERFORM ledger.refuse('TS006', 'the source key names a grant with other content',
                                  jsonb_build_object('source_key', p_source_key, 'seq', v_earlier.grant_id));
        ELSIF FOUND THEN
            SELECT * INTO entry FROM ledger.entries WHERE account_id = p_account_id AND seq = v_earlier.grant_id;
            RETURN;
        END IF;
    END IF;
    IF p_idempotency_key IS NOT NULL THEN
        entry := ledger.find_replay(p_account_id, p_idempotency_key, p_fingerprint);
        IF entry.seq IS NOT NULL THEN
            RETURN;
        END IF;
    END IF;
    replayed := false;
    IF a.balance + p_amount > 1000000000000000000 THEN
        PERFORM ledger.refuse('TS001', 'would take the balance above 10^18', jsonb_build_object('field', 'amount'));
    END IF;
    v_occurred_at := coalesce(p_occurred_at, v_now);
    IF v_occurred_at > v_now THEN
        PERFORM ledger.refuse('TS001', 'must not lie in the future', jsonb_build_object('field', 'occurred_at'));
    END IF;

    IF a.due_at <= v_now THEN
        a := ledger.book_due(a, v_now);
    END IF;
    v_effective_at := coalesce(p_effective_at, v_occurred_at);
    -- Debt is paid by the next grant, unless that one can pay for nothing any more.
    v_repaid := CASE WHEN p_expires_at <= v_now THEN 0 ELSE least(a.debt, p_amount) END;
    a.debt := a.debt - v_repaid;

    entry.kind := CASE p_source WHEN 'purchase' THEN 'purchase' ELSE 'grant' END;
    entry.amount := p_amount;
    entry.drawn_grants := ARRAY[a.seq + 1];
    entry.drawn_amounts := ARRAY[p_amount];
    IF v_repaid > 0 THEN
        entry.drawn_grants := entry.drawn_grants || (a.seq + 1);
        entry.drawn_amounts := entry.drawn_amounts || -v_repaid;
    END IF;
    entry.description := p_description;
    entry.reference := p_reference;
    entry.metadata := p_metadata;
    entry.idempotency_key := p_idempotency_key;
    entry.fingerprint := p_fingerprint;
    entry.actor := p_actor;
    entry.about_seq := p_about_seq;
    entry.occurred_at := v_occurred_at;
    entry.booked_at := v_now;
    INSERT INTO ledger.grants (
        account_id, grant_id, source, source_key, amount, remaining, repaid, priority, effective_at, expires_at,
        burn_rank, features, cost_minor, cost_currency, description, fingerprint, open)
    VALUES (
        p_account_id, a.seq + 1, p_source, p_source_key, p_amount, p_amount - v_repaid, v_repaid, p_priority,
        v_effective_at, p_expires_at, ledger.burn_rank(a.spend_order, p_cost_minor), p_features, p_cost_minor,
        p_cost_currency, p_description, p_fingerprint, p_amount > v_repaid);
    entry := ledger.append(a, entry);
    a := ledger.carry(a, entry);

    IF p_expires_at <= v_now THEN
        a := ledger.find_due(ledger.book_expired(a, v_now, v_now, v_occurred_at), v_now);
    ELSE
        a.due_at := least(a.due_at, p_expires_at, CASE WHEN v_effective_at > v_now THEN v_effective_at END);
        a.waiting := a.waiting OR v_effective_at > v_now;
    END IF;
    PERFORM ledger.save(a);
END
$$;
