-- Fingerprints of grants' terms, for batches whose terms PostgreSQL puts together itself. They are those of
-- webapp/ledger/fingerprints.py to the byte, and the proof computes them there.

-- JSON with whatever is not ASCII written as \u and four digits.
CREATE OR REPLACE FUNCTION ledger.escape_json(p_json text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    v_ascii text := '';
    v_char text;
    v_code integer;
BEGIN
    FOREACH v_char IN ARRAY string_to_array(p_json, NULL) LOOP
        v_code := ascii(v_char);
        v_ascii := v_ascii || CASE
            WHEN v_code < 127 THEN v_char
            WHEN v_code < 65536 THEN '\u' || lpad(to_hex(v_code), 4, '0')
            ELSE '\u' || to_hex(55296 + ((v_code - 65536) >> 10)) || '\u' || to_hex(56320 + ((v_code - 65536) & 1023))
        END;
    END LOOP;
    RETURN v_ascii;
END
$$;

-- The text in JSON, with ASCII alone. PostgreSQL takes the functions of one expression apart and puts that in their
-- place; what holds a subquery or a loop costs a call.
CREATE OR REPLACE FUNCTION ledger.ascii_json(p_text text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN octet_length(p_text) = char_length(p_text) AND strpos(p_text, chr(127)) = 0
                THEN to_json(p_text)::text ELSE ledger.escape_json(to_json(p_text)::text) END
$$;

CREATE OR REPLACE FUNCTION ledger.features_json(p_features text[]) RETURNS text
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN '[' || array_to_string(ARRAY(SELECT ledger.ascii_json(f) FROM unnest(p_features) f), ', ') || ']';
END
$$;

-- The moment in UTC as JSON, with six decimals or none.
CREATE OR REPLACE FUNCTION ledger.instant_json(p_at timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT '"' || replace(to_char(p_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), '.000000', '') || '+00:00"'
$$;

-- Features must be canonical: each once, sorted.
CREATE OR REPLACE FUNCTION ledger.fingerprint_of_grant(
    p_source text, p_amount bigint, p_expires_at timestamptz, p_priority integer, p_effective_at timestamptz,
    p_features text[], p_cost_minor bigint, p_cost_currency text, p_source_key text, p_description text
) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT sha256(convert_to(format(
        '["grant", %s, %s, %s, %s, %s, %s, %s, %s, %s, %s]', ledger.ascii_json(p_source), p_amount,
        coalesce(ledger.instant_json(p_expires_at), 'null'), p_priority,
        coalesce(ledger.instant_json(p_effective_at), 'null'),
        coalesce(ledger.features_json(p_features), 'null'),
        p_cost_minor, coalesce(ledger.ascii_json(p_cost_currency), 'null'),
        coalesce(ledger.ascii_json(p_source_key), 'null'), ledger.ascii_json(p_description)), 'UTF8'))
$$;
