-- The application may call what is meant for it and read the views, and nothing more.

DO $$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'ledger'::regnamespace LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC, tallystick_app', f);
    END LOOP;
    FOR f IN
        SELECT oid::regprocedure FROM pg_proc
        WHERE pronamespace = 'ledger'::regnamespace AND proname IN (
            'now', 'clock_ahead', 'clock_can_move', 'advance_clock', 'turn_back',
            'open_account', 'open_accounts', 'set_spend_order',
            'grant', 'spend', 'refund_spend', 'revoke', 'freeze', 'unfreeze',
            'place_hold', 'capture_hold', 'void_hold',
            'expire_account', 'expire_due',
            'balance', 'balance_until', 'balance_at', 'account_at', 'grants_at', 'spendable',
            'seq_bounds', 'usage', 'usage_size', 'sum_usage',
            'spend_many', 'grant_many', 'lock_accounts', 'units_used', 'grant_ids_of_many', 'roll_over_many',
            'fingerprint_of_grant', 'instant_json', 'ascii_json', 'escape_json', 'features_json',
            'begin_seal', 'seal_heads', 'finish_seal', 'sealed_all',
            'entry_content')  -- the last because a view's functions run with the reader's rights
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO tallystick_app', f);
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA ledger TO tallystick_app;
REVOKE ALL ON ALL TABLES IN SCHEMA ledger FROM tallystick_app;
GRANT SELECT ON ledger.accounts_v, ledger.grants_v, ledger.entries_v, ledger.draws_v, ledger.holds_v,
    ledger.hold_draws_v, ledger.freezes_v, ledger.postings_v, ledger.trial_balance_v, ledger.violations_v,
    ledger.seals_v, ledger.sealed_heads_v
    TO tallystick_app;
