-- Burning credits for a feature: the hot path. It is written out flat, with scalars instead of rows and no helper
-- functions: that halves its time. What it writes is what ledger.append would write; `verify` checks each hash.

-- All of p_amount is burnt in burn order, or with p_partial what there is; else it is refused and names what is
-- available. The overdraft limit is part of what there is. A refused key stays unused. A price may come to nothing,
-- such as a use that a plan has free: then p_amount is 0, nothing is drawn, and the entry says what was used.
CREATE OR REPLACE FUNCTION ledger.spend(
    p_account_id bigint, p_amount bigint, p_idempotency_key text, p_fingerprint bytea, p_actor text,
    p_feature text DEFAULT NULL, p_quantity bigint DEFAULT NULL, p_partial boolean DEFAULT false,
    p_description text DEFAULT '', p_reference text DEFAULT NULL, p_metadata jsonb DEFAULT '{}',
    p_pricing jsonb DEFAULT NULL, p_occurred_at timestamptz DEFAULT NULL,
    OUT replayed boolean, OUT entry ledger.entries
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    a record;
    g record;
    v_now timestamptz;
    v_occurred_at timestamptz;
    v_amount bigint := p_amount;         -- what this spend will take in the end
    v_left bigint;                       -- of it, not yet drawn; in the end what becomes debt
    v_take bigint;
    v_seen bigint;
    v_grants bigint[];
    v_amounts bigint[];
    v_hash bytea;
BEGIN
    IF p_amount IS NULL OR p_amount NOT BETWEEN 1 AND 1000000000000000 THEN
        PERFORM ledger.check_priced_amount(p_amount, p_pricing);
    END IF;
    SELECT balance, debt, overdraft_limit, seq, head, booked_at, due_at, holds
    INTO a FROM ledger.accounts WHERE account_id = p_account_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM ledger.lock_account(p_account_id);
    END IF;
    v_now := greatest(ledger.now(), a.booked_at);

    SELECT * INTO entry FROM ledger.entries WHERE account_id = p_account_id AND idempotency_key = p_idempotency_key;
    replayed := FOUND;
    IF replayed THEN
        IF entry.fingerprint IS DISTINCT FROM p_fingerprint THEN
            PERFORM ledger.find_replay(p_account_id, p_idempotency_key, p_fingerprint);
        END IF;
        RETURN;
    END IF;
    IF a.holds > 0 AND (
        EXISTS (SELECT FROM ledger.holds WHERE account_id = p_account_id AND idempotency_key = p_idempotency_key)
        OR EXISTS (SELECT FROM ledger.holds WHERE account_id = p_account_id AND closing_key = p_idempotency_key))
    THEN
        PERFORM ledger.refuse_key_of_hold(p_account_id, p_idempotency_key);
    END IF;
    v_occurred_at := coalesce(p_occurred_at, v_now);
    IF v_occurred_at > v_now THEN
        PERFORM ledger.refuse('TS001', 'must not lie in the future', jsonb_build_object('field', 'occurred_at'));
    END IF;

    IF a.due_at <= v_now THEN
        PERFORM ledger.save(ledger.book_due(ledger.lock_account(p_account_id), v_now));
        SELECT balance, debt, overdraft_limit, seq, head INTO a FROM ledger.accounts WHERE account_id = p_account_id;
    END IF;
    IF a.debt > 0 AND v_amount > 0 THEN
        -- Who is in debt may have credits all the same; they must cover the debt too.
        v_amount := least(p_amount, ledger.spendable_now(ledger.lock_account(p_account_id), p_feature, v_now));
        IF v_amount = 0 OR (v_amount < p_amount AND NOT p_partial) THEN
            PERFORM ledger.refuse_spend(p_amount, v_amount);
        END IF;
    END IF;

    -- Mostly the first grant in burn order has enough, and one statement finds and draws it.
    UPDATE ledger.grants SET remaining = remaining - v_amount
    WHERE v_amount > 0 AND account_id = p_account_id AND remaining - held > v_amount AND grant_id = (
        SELECT grant_id FROM ledger.grants
        WHERE account_id = p_account_id AND open AND remaining > held AND NOT frozen AND effective_at <= v_now
          AND (expires_at IS NULL OR expires_at > v_now) AND (features IS NULL OR p_feature = ANY (features))
        ORDER BY priority, expires_at, burn_rank, effective_at, grant_id
        LIMIT 1)
    RETURNING grant_id INTO v_seen;
    IF FOUND THEN
        v_left := 0;
        v_grants := ARRAY[v_seen];
        v_amounts := ARRAY[-v_amount];
    ELSE
        v_left := v_amount;
        v_seen := 1;
        v_grants := '{}';
        v_amounts := '{}';
        -- A few grants a time, so that the burn-order index serves them sorted however many there are.
        WHILE v_left > 0 AND v_seen > 0 LOOP
            v_seen := 0;
            FOR g IN
                SELECT grant_id, remaining - held AS free FROM ledger.grants
                WHERE account_id = p_account_id AND open AND remaining > held AND NOT frozen AND effective_at <= v_now
                  AND (expires_at IS NULL OR expires_at > v_now) AND (features IS NULL OR p_feature = ANY (features))
                ORDER BY priority, expires_at, burn_rank, effective_at, grant_id
                LIMIT 50
            LOOP
                v_seen := v_seen + 1;
                v_take := least(g.free, v_left);
                UPDATE ledger.grants SET remaining = remaining - v_take, open = remaining > v_take
                WHERE account_id = p_account_id AND grant_id = g.grant_id;
                v_grants := v_grants || g.grant_id;
                v_amounts := v_amounts || -v_take;
                v_left := v_left - v_take;
                EXIT WHEN v_left = 0;
            END LOOP;
        END LOOP;
        IF v_left > 0 AND a.debt = 0 THEN
            v_take := least(v_left, a.overdraft_limit);
            v_amount := p_amount - v_left + v_take;
            IF v_amount = 0 OR (v_amount < p_amount AND NOT p_partial) THEN
                PERFORM ledger.refuse_spend(p_amount, v_amount);
            END IF;
            v_left := v_take;
        END IF;
    END IF;

    a.seq := a.seq + 1;
    a.balance := a.balance - v_amount;
    a.debt := a.debt + v_left;
    v_hash := sha256(a.head || convert_to(jsonb_build_array(
        p_account_id, a.seq, 'spend', -v_amount, a.balance, a.debt, v_grants, v_amounts,
        NULL, p_feature, p_quantity, p_description, p_reference, p_metadata, p_pricing, p_idempotency_key,
        encode(p_fingerprint, 'hex'), p_actor, extract(epoch FROM v_occurred_at), extract(epoch FROM v_now)
    )::text, 'UTF8'));
    INSERT INTO ledger.entries (
        account_id, seq, kind, amount, balance_after, debt_after, drawn_grants, drawn_amounts, feature, quantity,
        description, reference, metadata, pricing, idempotency_key, fingerprint, actor, occurred_at, booked_at, hash)
    VALUES (
        p_account_id, a.seq, 'spend', -v_amount, a.balance, a.debt, v_grants, v_amounts, p_feature, p_quantity,
        p_description, p_reference, p_metadata, p_pricing, p_idempotency_key, p_fingerprint, p_actor, v_occurred_at,
        v_now, v_hash)
    RETURNING * INTO entry;
    UPDATE ledger.accounts
    SET balance = a.balance, debt = a.debt, seq = a.seq, version = version + 1, head = v_hash, booked_at = v_now
    WHERE account_id = p_account_id;
END
$$;

CREATE OR REPLACE FUNCTION ledger.refuse_spend(p_required bigint, p_available bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM ledger.refuse('TS004', 'not enough credits',
                          jsonb_build_object('required', p_required, 'available', greatest(p_available, 0)));
END
$$;

-- What a spend on p_feature could take at p_moment from account `a`, whatever of its due facts is booked yet.
CREATE OR REPLACE FUNCTION ledger.spendable_now(a ledger.accounts, p_feature text, p_moment timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT greatest(coalesce(sum(g.free), 0)::bigint - a.debt + a.overdraft_limit, 0)
        FROM ledger.free_at(a, p_moment) g
        WHERE NOT g.frozen AND g.effective_at <= p_moment AND (g.features IS NULL OR p_feature = ANY (g.features)));
END
$$;
