-- Reserving credits before the work is done. A hold pins exact slices of exact grants; they stay in the balance, and
-- the hold ends once: captured by a spend, voided, or lapsed at its deadline.

-- p_amount credits are reserved in burn order for p_lasts, or it is refused and names what could be reserved. The
-- overdraft limit is no part of that: what is promised must be there. A refused key stays unused. Where a price came
-- to nothing, p_amount is 0: such a hold reserves no credits, and ends as any other does.
CREATE OR REPLACE FUNCTION ledger.place_hold(
    p_account_id bigint, p_amount bigint, p_idempotency_key text, p_fingerprint bytea, p_actor text,
    p_lasts interval DEFAULT '15 minutes', p_feature text DEFAULT NULL, p_quantity bigint DEFAULT NULL,
    p_description text DEFAULT '', p_reference text DEFAULT NULL, p_metadata jsonb DEFAULT '{}',
    p_pricing jsonb DEFAULT NULL,
    OUT replayed boolean, OUT hold ledger.holds
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    a ledger.accounts;
    v_now timestamptz;
    v_can bigint;
    v_missing bigint;
BEGIN
    PERFORM ledger.check_priced_amount(p_amount, p_pricing);
    IF p_lasts IS NULL OR p_lasts < interval '1 second' OR p_lasts > interval '24 hours' THEN
        PERFORM ledger.refuse('TS001', 'must be from one second to 24 hours', jsonb_build_object('field', 'expires_in'));
    END IF;
    a := ledger.lock_account(p_account_id);
    v_now := greatest(ledger.now(), a.booked_at);
    SELECT * INTO hold FROM ledger.holds WHERE account_id = p_account_id AND idempotency_key = p_idempotency_key;
    replayed := FOUND AND hold.fingerprint = p_fingerprint;
    IF replayed THEN
        IF hold.state = 'open' AND hold.expires_at <= v_now THEN
            -- A repetition writes nothing, but it does not call open what has lapsed.
            hold.state := 'lapsed';
            hold.closed_at := hold.expires_at;
            hold.closed_by := 'ledger';
        END IF;
        RETURN;
    END IF;
    PERFORM ledger.refuse_key_of_entry(p_account_id, p_idempotency_key);
    PERFORM ledger.refuse_key_of_hold(p_account_id, p_idempotency_key);
    IF a.due_at <= v_now THEN
        a := ledger.book_due(a, v_now);
    END IF;
    IF a.debt > 0 AND p_amount > 0 THEN
        a.overdraft_limit := 0;
        v_can := ledger.spendable_now(a, p_feature, v_now);
        IF v_can < p_amount THEN
            PERFORM ledger.refuse_spend(p_amount, v_can);
        END IF;
    END IF;

    SELECT t.grants, t.amounts, t.missing INTO hold.drawn_grants, hold.drawn_amounts, v_missing
    FROM ledger.take(p_account_id, p_amount, p_feature, v_now, true) t;
    IF v_missing > 0 THEN
        PERFORM ledger.refuse_spend(p_amount, p_amount - v_missing);
    END IF;
    a.held := a.held + p_amount;
    a.holds := a.holds + 1;
    a.due_at := least(a.due_at, v_now + p_lasts);
    INSERT INTO ledger.holds (
        account_id, number, amount, drawn_grants, drawn_amounts, feature, quantity, description, reference, metadata,
        pricing, idempotency_key, fingerprint, actor, placed_at, placed_after, placed_version, expires_at)
    VALUES (
        p_account_id, a.holds, p_amount, hold.drawn_grants, hold.drawn_amounts, p_feature, p_quantity, p_description,
        p_reference, p_metadata, p_pricing, p_idempotency_key, p_fingerprint, p_actor, v_now, a.seq, a.version + 1,
        v_now + p_lasts)
    RETURNING * INTO hold;
    PERFORM ledger.save(a);
END
$$;

-- A spend takes p_amount of the hold's credits (null: all), its first slices first, and the rest goes back to the
-- grants it came from. More than is held is refused, or with p_allow_excess drawn in the ordinary way in the same
-- entry. Time is no obstacle to what was reserved: its grant may have expired, been frozen or revoked meanwhile.
CREATE OR REPLACE FUNCTION ledger.capture_hold(
    p_account_id bigint, p_number bigint, p_amount bigint, p_allow_excess boolean, p_idempotency_key text,
    p_fingerprint bytea, p_actor text, p_quantity bigint DEFAULT NULL, p_description text DEFAULT NULL,
    p_reference text DEFAULT NULL, p_metadata jsonb DEFAULT NULL, p_pricing jsonb DEFAULT NULL,
    OUT replayed boolean, OUT entry ledger.entries
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    a ledger.accounts;
    h ledger.holds;
    t record;
    v_now timestamptz;
    v_amount bigint;
    v_left bigint;                       -- of the held credits to capture, not yet drawn
    v_excess bigint;
    v_can bigint;
BEGIN
    IF p_amount IS NOT NULL THEN
        PERFORM ledger.check_priced_amount(p_amount, p_pricing);
    END IF;
    a := ledger.lock_account(p_account_id);
    v_now := greatest(ledger.now(), a.booked_at);
    entry := ledger.find_replay(p_account_id, p_idempotency_key, p_fingerprint);
    replayed := entry.seq IS NOT NULL;
    IF replayed THEN
        RETURN;
    END IF;
    h := ledger.find_open_hold(p_account_id, p_number, v_now);
    v_amount := coalesce(p_amount, h.amount);
    v_excess := greatest(v_amount - h.amount, 0);
    IF v_excess > 0 AND NOT coalesce(p_allow_excess, false) THEN
        PERFORM ledger.refuse('TS011', 'more than is held', jsonb_build_object('held', h.amount, 'number', p_number));
    END IF;
    IF a.due_at <= v_now THEN
        a := ledger.book_due(a, v_now);
    END IF;

    h.state := 'captured';
    h.captured := v_amount - v_excess;
    h.closed_at := greatest(v_now, h.placed_at);
    h.closed_by := p_actor;
    a := ledger.release(a, h);
    entry.drawn_grants := '{}';
    entry.drawn_amounts := '{}';
    v_left := h.captured;
    FOR i IN 1 .. cardinality(h.drawn_grants) LOOP
        EXIT WHEN v_left = 0;
        entry.drawn_grants := entry.drawn_grants || h.drawn_grants[i];
        entry.drawn_amounts := entry.drawn_amounts || -least(h.drawn_amounts[i], v_left);
        v_left := v_left - least(h.drawn_amounts[i], v_left);
    END LOOP;
    IF v_excess > 0 THEN
        v_can := ledger.spendable_now(a, h.feature, v_now);
        IF v_can < v_excess THEN
            PERFORM ledger.refuse_spend(v_excess, v_can);
        END IF;
        SELECT * INTO t FROM ledger.take(p_account_id, v_excess, h.feature, v_now, false);
        entry.drawn_grants := entry.drawn_grants || t.grants;
        FOREACH v_left IN ARRAY t.amounts LOOP
            entry.drawn_amounts := entry.drawn_amounts || -v_left;
        END LOOP;
        a.debt := a.debt + t.missing;
    END IF;

    entry.kind := 'spend';
    entry.amount := -v_amount;
    entry.hold_number := p_number;
    entry.feature := h.feature;
    -- The hold's arithmetic explains its own amount and no other.
    entry.quantity := coalesce(p_quantity, CASE WHEN v_amount = h.amount THEN h.quantity END);
    entry.pricing := coalesce(p_pricing, CASE WHEN v_amount = h.amount THEN h.pricing END);
    entry.description := coalesce(p_description, h.description);
    entry.reference := coalesce(p_reference, h.reference);
    entry.metadata := coalesce(p_metadata, h.metadata);
    entry.idempotency_key := p_idempotency_key;
    entry.fingerprint := p_fingerprint;
    entry.actor := p_actor;
    entry.booked_at := v_now;
    entry := ledger.append(a, entry);
    a := ledger.close_hold(ledger.carry(a, entry), h, v_now);
    PERFORM ledger.save(ledger.find_due(a, v_now));
END
$$;

-- The hold is over and all its credits are back in the grants they came from.
CREATE OR REPLACE FUNCTION ledger.void_hold(
    p_account_id bigint, p_number bigint, p_idempotency_key text, p_fingerprint bytea, p_actor text,
    OUT replayed boolean, OUT hold ledger.holds
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    a ledger.accounts;
    v_now timestamptz;
BEGIN
    a := ledger.lock_account(p_account_id);
    v_now := greatest(ledger.now(), a.booked_at);
    replayed := false;
    IF p_idempotency_key IS NOT NULL THEN
        SELECT * INTO hold FROM ledger.holds WHERE account_id = p_account_id AND closing_key = p_idempotency_key;
        replayed := FOUND AND hold.closing_fingerprint = p_fingerprint;
        IF replayed THEN
            RETURN;
        END IF;
        PERFORM ledger.refuse_key_of_entry(p_account_id, p_idempotency_key);
        PERFORM ledger.refuse_key_of_hold(p_account_id, p_idempotency_key);
    END IF;
    hold := ledger.find_open_hold(p_account_id, p_number, v_now);
    IF a.due_at <= v_now THEN
        a := ledger.book_due(a, v_now);
    END IF;
    hold.state := 'voided';
    hold.closed_at := greatest(v_now, hold.placed_at);
    hold.closed_by := p_actor;
    hold.closing_key := p_idempotency_key;
    hold.closing_fingerprint := p_fingerprint;
    a := ledger.close_hold(ledger.release(a, hold), hold, v_now);
    PERFORM ledger.save(ledger.find_due(a, v_now));
    SELECT * INTO STRICT hold FROM ledger.holds WHERE account_id = p_account_id AND number = p_number;
END
$$;

-- Draws p_amount credits in burn order from what may pay for p_feature, or with p_hold reserves them: how much of
-- which grants, and what is missing. A few grants a time, so that the burn-order index serves them sorted.
CREATE OR REPLACE FUNCTION ledger.take(
    p_account_id bigint, p_amount bigint, p_feature text, p_moment timestamptz, p_hold boolean,
    OUT grants bigint[], OUT amounts bigint[], OUT missing bigint
)
LANGUAGE plpgsql AS $$
DECLARE
    g record;
    v_take bigint;
    v_seen bigint := 1;
BEGIN
    grants := '{}';
    amounts := '{}';
    missing := p_amount;
    WHILE missing > 0 AND v_seen > 0 LOOP
        v_seen := 0;
        FOR g IN
            SELECT grant_id, remaining - held AS free FROM ledger.grants
            WHERE account_id = p_account_id AND open AND remaining > held AND NOT frozen AND effective_at <= p_moment
              AND (expires_at IS NULL OR expires_at > p_moment) AND (features IS NULL OR p_feature = ANY (features))
            ORDER BY priority, expires_at, burn_rank, effective_at, grant_id
            LIMIT 50
        LOOP
            v_seen := v_seen + 1;
            v_take := least(g.free, missing);
            IF p_hold THEN
                UPDATE ledger.grants SET held = held + v_take
                WHERE account_id = p_account_id AND grant_id = g.grant_id;
            ELSE
                UPDATE ledger.grants SET remaining = remaining - v_take, open = remaining > v_take
                WHERE account_id = p_account_id AND grant_id = g.grant_id;
            END IF;
            grants := grants || g.grant_id;
            amounts := amounts || v_take;
            missing := missing - v_take;
            EXIT WHEN missing = 0;
        END LOOP;
    END LOOP;
END
$$;

-- The hold `h` reserves nothing any more; h.captured of its credits, the first slices first, have left their grants.
CREATE OR REPLACE FUNCTION ledger.release(INOUT a ledger.accounts, h ledger.holds)
LANGUAGE plpgsql AS $$
DECLARE
    v_left bigint := h.captured;
    v_gone bigint;
BEGIN
    FOR i IN 1 .. cardinality(h.drawn_grants) LOOP
        v_gone := least(h.drawn_amounts[i], v_left);
        v_left := v_left - v_gone;
        UPDATE ledger.grants SET held = held - h.drawn_amounts[i], remaining = remaining - v_gone, open = remaining > v_gone
        WHERE account_id = h.account_id AND grant_id = h.drawn_grants[i];
    END LOOP;
    a.held := a.held - h.amount;
END
$$;

-- Writes down how the released hold `h` ended. What came back to grants that have expired expires again, and what came
-- back to grants that are to be revoked is revoked, or became debt when it was captured.
CREATE OR REPLACE FUNCTION ledger.close_hold(INOUT a ledger.accounts, h ledger.holds, p_moment timestamptz)
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE ledger.holds
    SET state = h.state, captured = h.captured, closed_at = h.closed_at, closed_by = h.closed_by, closed_after = a.seq,
        closed_version = a.version + 1, closing_key = h.closing_key, closing_fingerprint = h.closing_fingerprint
    WHERE account_id = h.account_id AND number = h.number;
    a := ledger.book_expired(a, p_moment, h.closed_at, h.closed_at, h.drawn_grants);
    a := ledger.reach_targets(a, h.drawn_grants, p_moment, h.closed_at);
END
$$;

-- The hold of that number, when it is still open at p_moment.
CREATE OR REPLACE FUNCTION ledger.find_open_hold(p_account_id bigint, p_number bigint, p_moment timestamptz)
RETURNS ledger.holds
LANGUAGE plpgsql AS $$
DECLARE
    h ledger.holds;
BEGIN
    SELECT * INTO h FROM ledger.holds WHERE account_id = p_account_id AND number = p_number;
    IF NOT FOUND THEN
        PERFORM ledger.refuse('TS009', 'no such hold', jsonb_build_object('number', p_number));
    ELSIF h.state <> 'open' OR h.expires_at <= p_moment THEN
        PERFORM ledger.refuse('TS010', 'the hold has ended', jsonb_build_object(
            'number', p_number, 'state', CASE h.state WHEN 'open' THEN 'lapsed' ELSE h.state END));
    END IF;
    RETURN h;
END
$$;

-- Refused when an entry has used this key on this account.
CREATE OR REPLACE FUNCTION ledger.refuse_key_of_entry(p_account_id bigint, p_key text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_seq bigint;
BEGIN
    SELECT seq INTO v_seq FROM ledger.entries WHERE account_id = p_account_id AND idempotency_key = p_key;
    IF FOUND THEN
        PERFORM ledger.refuse('TS005', 'the idempotency key names another request',
                              jsonb_build_object('idempotency_key', p_key, 'seq', v_seq));
    END IF;
END
$$;
