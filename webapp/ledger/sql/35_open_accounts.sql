-- Opening many accounts at once, for imports: the time zones are looked up once and not once for each account.

-- Each account exists; those that did not have the given attributes (null: the default), the others stay as they are.
-- The lists are of one length, and of accounts named more than once the first counts. New names are written in their
-- order, so that two imports at once wait for each other and do not deadlock.
CREATE OR REPLACE FUNCTION ledger.open_accounts(
    p_external_ids text[], p_kinds text[], p_names text[], p_time_zones text[], p_overdraft_limits bigint[]
) RETURNS TABLE (external_id text, account_id bigint, created boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz := ledger.now();
    v_opened bigint[];
BEGIN
    IF EXISTS (SELECT FROM unnest(p_external_ids) n WHERE (n ~ '^[A-Za-z0-9._:@+-]{1,128}$') IS NOT TRUE) THEN
        PERFORM ledger.refuse('TS001', 'must be 1 to 128 of A-Z a-z 0-9 . _ - : @ +',
                              jsonb_build_object('field', 'external_id'));
    ELSIF EXISTS (SELECT FROM unnest(p_kinds) k WHERE k NOT IN ('person', 'organization')) THEN
        PERFORM ledger.refuse('TS001', 'must be person or organization', jsonb_build_object('field', 'kind'));
    ELSIF EXISTS (SELECT FROM unnest(p_overdraft_limits) l WHERE l NOT BETWEEN 0 AND 1000000000000000) THEN
        PERFORM ledger.refuse('TS001', 'must be a whole number from 0 to 10^15',
                              jsonb_build_object('field', 'overdraft_limit'));
    ELSIF EXISTS (SELECT FROM unnest(p_time_zones) z WHERE z IS NOT NULL)
          AND EXISTS (SELECT FROM unnest(p_time_zones) z
                      WHERE z IS NOT NULL AND z NOT IN (SELECT name FROM pg_timezone_names)) THEN
        PERFORM ledger.refuse('TS001', 'must be an IANA time zone', jsonb_build_object('field', 'time_zone'));
    END IF;
    WITH made AS (
        -- Waits for a simultaneous opener; whoever comes second finds the first one's account below.
        INSERT INTO ledger.account_ids AS i (external_id)
        SELECT DISTINCT n COLLATE "C" FROM unnest(p_external_ids) n ORDER BY 1
        ON CONFLICT (external_id) DO NOTHING RETURNING i.external_id, i.account_id
    ), given AS (
        SELECT DISTINCT ON (n) n COLLATE "C" AS external_id, kind, name, time_zone, overdraft_limit
        FROM unnest(p_external_ids, p_kinds, p_names, p_time_zones, p_overdraft_limits) WITH ORDINALITY
             AS g (n, kind, name, time_zone, overdraft_limit, place)
        ORDER BY n, place
    ), opened AS (
        INSERT INTO ledger.accounts AS a
            (account_id, external_id, kind, name, time_zone, overdraft_limit, created_at, booked_at)
        SELECT m.account_id, m.external_id, coalesce(g.kind, 'person'), g.name, coalesce(g.time_zone, 'UTC'),
               coalesce(g.overdraft_limit, 0), v_now, v_now
        FROM made m JOIN given g ON g.external_id = m.external_id
        RETURNING a.account_id
    )
    SELECT coalesce(array_agg(o.account_id), '{}') INTO v_opened FROM opened o;
    RETURN QUERY
    SELECT i.external_id, i.account_id, i.account_id = ANY (v_opened)
    FROM ledger.account_ids i WHERE i.external_id = ANY (p_external_ids COLLATE "C");
END
$$;
