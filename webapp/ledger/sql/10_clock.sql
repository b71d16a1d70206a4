-- The only clock. Read after the account's lock, never before.

CREATE OR REPLACE FUNCTION ledger.now() RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN clock_timestamp() + (SELECT ahead - back FROM ledger.clock);
END
$$;

CREATE OR REPLACE FUNCTION ledger.clock_ahead() RETURNS interval
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT ahead - back FROM ledger.clock
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

-- Sandbox only, and for this database transaction alone, in which it is p_to from now on: for a demo that has a past.
-- Null leads back to the present, and must, before the commit. Nobody else sees that the time was another one here.
CREATE OR REPLACE FUNCTION ledger.turn_back(p_to timestamptz) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_back interval := coalesce((SELECT clock_timestamp() + ahead FROM ledger.clock) - p_to, interval '0');
BEGIN
    IF v_back < interval '0' THEN
        PERFORM ledger.refuse('TS001', 'must not lie in the future', jsonb_build_object('field', 'to'));
    END IF;
    UPDATE ledger.clock SET back = v_back WHERE movable;
    IF NOT FOUND THEN
        PERFORM ledger.refuse('TS001', 'the clock can be moved in sandbox mode only', jsonb_build_object('field', 'to'));
    END IF;
    RETURN ledger.now();
END
$$;

CREATE OR REPLACE FUNCTION ledger.refuse_past() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (SELECT back FROM ledger.clock) <> interval '0' THEN
        RAISE EXCEPTION 'time must not stay turned back: lead it back to the present before the commit';
    END IF;
    RETURN NULL;
END
$$;

-- Deferred, and such triggers cannot be replaced.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'clock_comes_back') THEN
        CREATE CONSTRAINT TRIGGER clock_comes_back AFTER UPDATE ON ledger.clock
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger.refuse_past();
    END IF;
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
