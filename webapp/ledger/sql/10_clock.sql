-- The only clock. Read after the account's lock, never before.

CREATE OR REPLACE FUNCTION ledger.now() RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN clock_timestamp() + (SELECT ahead FROM ledger.clock);
END
$$;

CREATE OR REPLACE FUNCTION ledger.clock_ahead() RETURNS interval
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT ahead FROM ledger.clock
$$;

-- Whether the owner said at the last upgrade that this is a sandbox; the environment of whoever asks may say otherwise.
CREATE OR REPLACE FUNCTION ledger.clock_can_move() RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(movable, false) FROM ledger.clock
$$;

-- Sandbox only: the next reader's time is later by p_by. Returns the time after that.
CREATE OR REPLACE FUNCTION ledger.advance_clock(p_by interval) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_by IS NULL OR p_by <= interval '0' THEN
        PERFORM ledger.refuse('TS001', 'the clock moves forward only', jsonb_build_object('field', 'by'));
    ELSIF p_by > interval '1000 years' OR ledger.now() + p_by > timestamptz '9000-01-01 00:00:00Z' THEN
        PERFORM ledger.refuse('TS001', 'the clock ends with the year 8999', jsonb_build_object('field', 'by'));
    END IF;
    UPDATE ledger.clock SET ahead = ahead + p_by WHERE movable;
    IF NOT FOUND THEN
        PERFORM ledger.refuse('TS001', 'the clock can be moved in sandbox mode only', jsonb_build_object('field', 'by'));
    END IF;
    RETURN ledger.now();
END
$$;

-- The owner says at each upgrade whether this is a sandbox. Time that was moved cannot become real money's time, and
-- a database that was meant for real money never becomes a sandbox again, whoever upgrades it with which environment.
CREATE OR REPLACE FUNCTION ledger.let_clock_move(p_movable boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT p_movable AND (SELECT ahead FROM ledger.clock) > interval '0' THEN
        RAISE EXCEPTION 'this database holds sandbox data whose clock was moved; use another one outside sandbox mode';
    END IF;
    UPDATE ledger.clock SET movable = p_movable WHERE movable IS NULL OR (movable AND NOT p_movable);
END
$$;

-- Every refusal leaves by this door: nothing is written, and the detail says why in figures.
CREATE OR REPLACE FUNCTION ledger.refuse(p_sqlstate text, p_message text, p_detail jsonb DEFAULT '{}') RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = p_sqlstate, MESSAGE = p_message, DETAIL = p_detail::text;
END
$$;
