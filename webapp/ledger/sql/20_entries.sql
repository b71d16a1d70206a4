-- Writing an entry, and making sure that nobody rewrites one, or removes what it speaks of.

-- What the hash of an entry covers: a JSON array of its fields in this order, times as seconds since 1970 with six
-- decimals, bytes as hex; of a spend that captured a hold, the hold's number as one more. Whoever wants to check the
-- chain by other means needs these lines and sha256.
CREATE OR REPLACE FUNCTION ledger.entry_content(e ledger.entries) RETURNS bytea
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT convert_to((jsonb_build_array(
        e.account_id, e.seq, e.kind, e.amount, e.balance_after, e.debt_after, e.drawn_grants, e.drawn_amounts,
        e.about_seq, e.feature, e.quantity, e.description, e.reference, e.metadata, e.pricing, e.idempotency_key,
        encode(e.fingerprint, 'hex'), e.actor, extract(epoch FROM e.occurred_at), extract(epoch FROM e.booked_at)
    ) || CASE WHEN e.hold_number IS NULL THEN '[]' ELSE jsonb_build_array(e.hold_number) END)::text, 'UTF8')
$$;

-- Writes `e` as the next entry of the locked account `a` and returns it. The caller has set what is particular to
-- it, and has changed a.debt already; afterwards it carries seq, balance and head over into `a` and saves that.
CREATE OR REPLACE FUNCTION ledger.append(a ledger.accounts, INOUT e ledger.entries)
LANGUAGE plpgsql AS $$
BEGIN
    e.account_id := a.account_id;
    e.seq := a.seq + 1;
    e.balance_after := a.balance + e.amount;
    e.debt_after := a.debt;
    e.description := coalesce(e.description, '');
    e.metadata := coalesce(e.metadata, '{}');
    e.drawn_grants := coalesce(e.drawn_grants, '{}');
    e.drawn_amounts := coalesce(e.drawn_amounts, '{}');
    e.occurred_at := coalesce(e.occurred_at, e.booked_at);
    e.hash := sha256(a.head || ledger.entry_content(e));
    INSERT INTO ledger.entries VALUES (e.*);
END
$$;

-- `a` after the entry `e`.
CREATE OR REPLACE FUNCTION ledger.carry(INOUT a ledger.accounts, e ledger.entries)
LANGUAGE plpgsql AS $$
BEGIN
    a.seq := e.seq;
    a.balance := e.balance_after;
    a.head := e.hash;
    a.booked_at := e.booked_at;
END
$$;

CREATE OR REPLACE FUNCTION ledger.save(a ledger.accounts) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE ledger.accounts
    SET balance = a.balance, held = a.held, debt = a.debt, seq = a.seq, version = a.version + 1, head = a.head,
        booked_at = a.booked_at, due_at = a.due_at, waiting = a.waiting, holds = a.holds
    WHERE account_id = a.account_id;
END
$$;

CREATE OR REPLACE FUNCTION ledger.lock_account(p_account_id bigint) RETURNS ledger.accounts
LANGUAGE plpgsql AS $$
DECLARE
    a ledger.accounts;
BEGIN
    SELECT * INTO a FROM ledger.accounts WHERE account_id = p_account_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM ledger.refuse('TS002', 'no such account', jsonb_build_object('account_id', p_account_id));
    END IF;
    RETURN a;
END
$$;

-- The entry that this key already names on this account, or nothing; refused when it names another request.
CREATE OR REPLACE FUNCTION ledger.find_replay(p_account_id bigint, p_key text, p_fingerprint bytea)
RETURNS ledger.entries
LANGUAGE plpgsql AS $$
DECLARE
    e ledger.entries;
BEGIN
    SELECT * INTO e FROM ledger.entries WHERE account_id = p_account_id AND idempotency_key = p_key;
    IF FOUND AND e.fingerprint IS DISTINCT FROM p_fingerprint THEN
        PERFORM ledger.refuse('TS005', 'the idempotency key names another request',
                              jsonb_build_object('idempotency_key', p_key, 'seq', e.seq));
    ELSIF NOT FOUND THEN
        PERFORM ledger.refuse_key_of_hold(p_account_id, p_key);
    END IF;
    RETURN e;
END
$$;

-- Refused when placing or voiding a hold has used this key on this account.
CREATE OR REPLACE FUNCTION ledger.refuse_key_of_hold(p_account_id bigint, p_key text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_number bigint;
BEGIN
    SELECT number INTO v_number FROM ledger.holds WHERE account_id = p_account_id AND idempotency_key = p_key;
    IF NOT FOUND THEN
        SELECT number INTO v_number FROM ledger.holds WHERE account_id = p_account_id AND closing_key = p_key;
    END IF;
    IF FOUND THEN
        PERFORM ledger.refuse('TS005', 'the idempotency key names another request',
                              jsonb_build_object('idempotency_key', p_key, 'hold', v_number));
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION ledger.check_amount(p_amount bigint, p_field text DEFAULT 'amount') RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF p_amount IS NULL OR p_amount NOT BETWEEN 1 AND 1000000000000000 THEN
        PERFORM ledger.refuse('TS001', 'must be a whole number from 1 to 10^15', jsonb_build_object('field', p_field));
    END IF;
END
$$;

-- What a price came to may be nothing; what somebody says may not.
CREATE OR REPLACE FUNCTION ledger.check_priced_amount(p_amount bigint, p_pricing jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF p_amount IS DISTINCT FROM 0 OR p_pricing IS NULL THEN
        PERFORM ledger.check_amount(p_amount);
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION ledger.refuse_rewrite() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'entries are written once: % is refused; correct with a new entry', TG_OP;
END
$$;

CREATE OR REPLACE TRIGGER entries_written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.entries
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_rewrite();

-- What an entry speaks of stays as long as the entry. An UPDATE is no rewrite here: these tables cache figures.
CREATE OR REPLACE FUNCTION ledger.refuse_removal() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% are kept as long as their entries: % is refused', TG_TABLE_NAME, TG_OP;
END
$$;

CREATE OR REPLACE TRIGGER account_ids_kept BEFORE DELETE OR TRUNCATE ON ledger.account_ids
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_removal();
CREATE OR REPLACE TRIGGER accounts_kept BEFORE DELETE OR TRUNCATE ON ledger.accounts
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_removal();
CREATE OR REPLACE TRIGGER grants_kept BEFORE DELETE OR TRUNCATE ON ledger.grants
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_removal();
CREATE OR REPLACE TRIGGER holds_kept BEFORE DELETE OR TRUNCATE ON ledger.holds
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_removal();
CREATE OR REPLACE TRIGGER freezes_kept BEFORE DELETE OR TRUNCATE ON ledger.freezes
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_removal();
