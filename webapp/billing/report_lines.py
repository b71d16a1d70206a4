"""What entries mean in credits and in money: the one piece of SQL from which every report is made.

A *line* is one draw of one entry, or what an entry made debt or paid of it. Each grant keeps its money by a rule that
has no rounding left over: of a grant of A credits that cost C, when `out` of them have left it, C·out/A (rounded down)
has left too. So whatever way credits go and come back, all of them out is all of the money out, to the last unit. In
the same way C·d/A is what went back to the payer for `d` credits that had been spent when their grant was revoked.
"""

# The entries booked from :since until before :until, summed up by day (UTC), movement, item, feature and currency.
# Movements are the kinds of entries, and `rollover` and `repay` (what a new grant paid of a debt: nothing, in credits).
# Of each sum: sold = recognised + breakage + refunded + deferred. Reads where each paid grant stood at :since from
# report_grants, which is kept as far as report_progress says.
LINES = """
    entry AS MATERIALIZED (
        SELECT account_id, seq, kind, amount, drawn_grants, drawn_amounts, about_seq, coalesce(feature, '') AS feature,
               CAST(booked_at AT TIME ZONE 'UTC' AS date) AS day
        FROM ledger.entries_v
        WHERE booked_at >= CAST(:since AS timestamptz) AND booked_at < CAST(:until AS timestamptz)
          -- What another process has rolled up since :since was read is not told twice.
          AND booked_at >= (SELECT coalesce(max(rolled_until), '-infinity') FROM report_progress)
    ), line AS (
        SELECT e.account_id, e.seq, d.position, d.grant_id, e.day, e.kind, e.feature, e.about_seq, e.amount,
               d.drawn AS credits, d.drawn,
               CASE WHEN e.kind = 'refund' AND d.drawn < 0 THEN d.drawn ELSE 0 END AS reclaimed,
               d.position = cardinality(e.drawn_grants) AS is_last
        FROM entry e
        CROSS JOIN LATERAL unnest(e.drawn_grants, e.drawn_amounts) WITH ORDINALITY AS d (grant_id, drawn, position)
        UNION ALL
        -- What became debt, or is owed no longer. A revoke says it of its grant, and a restore undoes it first.
        SELECT e.account_id, e.seq, 1000000, CASE WHEN e.kind IN ('revoke', 'restore') THEN e.about_seq END,
               e.day, e.kind, e.feature, e.about_seq, e.amount, e.amount - s.drawn, 0,
               CASE e.kind WHEN 'revoke' THEN s.drawn - e.amount WHEN 'restore' THEN -e.amount ELSE 0 END, false
        FROM entry e
        CROSS JOIN LATERAL (SELECT coalesce(sum(n), 0) AS drawn FROM unnest(e.drawn_amounts) n) s
        WHERE e.amount <> s.drawn OR e.kind = 'restore'
    ), known AS MATERIALIZED (
        SELECT l.*, CASE WHEN l.kind IN ('grant', 'purchase') AND l.position > 1 THEN 'repay'
                         WHEN l.kind = 'grant' AND l.about_seq IS NOT NULL THEN 'rollover'
                         ELSE l.kind END AS movement,
               coalesce('package:' || p.package, 'plan:' || n.plan, g.source, '') AS item,
               g.amount AS granted, g.cost_minor AS cost, coalesce(g.cost_currency, '') AS currency
        FROM line l
        LEFT JOIN ledger.grants_v g ON g.account_id = l.account_id AND g.grant_id = l.grant_id
        LEFT JOIN purchases p
            ON p.id = CASE WHEN g.source_key ~ '^purchase:[0-9]{1,18}$'
                           THEN CAST(substring(g.source_key FROM 10) AS bigint) END
            AND p.account_id = g.account_id AND p.grant_id = g.grant_id
        LEFT JOIN entitlements n
            ON n.id = CASE WHEN g.source_key ~ '^(grant|rollover):[0-9]{1,18}:[0-9]+$'
                           THEN CAST(split_part(g.source_key, ':', 2) AS bigint) END
            AND n.account_id = g.account_id
    ), stood AS (
        SELECT k.*, coalesce(s.out_credits, k.granted)
                    - sum(k.drawn) OVER (PARTITION BY k.account_id, k.grant_id ORDER BY k.seq, k.position) AS out_after,
               coalesce(s.reclaimed, 0) AS reclaimed_at_first,
               coalesce(s.reclaimed, 0)
               + sum(k.reclaimed) OVER (PARTITION BY k.account_id, k.grant_id ORDER BY k.seq, k.position) AS unbounded
        FROM known k
        LEFT JOIN report_grants s ON s.account_id = k.account_id AND s.grant_id = k.grant_id
        WHERE k.cost > 0
    ), bounded AS (
        -- Restoring stops at nothing reclaimed: a walk that may not go below zero.
        SELECT s.*, unbounded - least(0, min(unbounded)
                                         OVER (PARTITION BY account_id, grant_id ORDER BY seq, position))
                    AS reclaimed_after
        FROM stood s
    ), paid AS MATERIALIZED (
        SELECT b.*, lag(reclaimed_after, 1, reclaimed_at_first)
                    OVER (PARTITION BY account_id, grant_id ORDER BY seq, position) AS reclaimed_before
        FROM bounded b
    ), valued AS (
        SELECT p.*, div(CAST(cost AS numeric) * out_after, granted)
                    - div(CAST(cost AS numeric) * (out_after + drawn), granted) AS leaving,
               div(CAST(cost AS numeric) * reclaimed_after, granted)
               - div(CAST(cost AS numeric) * reclaimed_before, granted) AS given_back,
               CASE WHEN movement IN ('grant', 'purchase') THEN 'sold'
                    WHEN movement IN ('expire', 'rollover') THEN 'breakage'
                    WHEN movement = 'revoke' OR movement = 'refund' AND drawn < 0 THEN 'refunded'
                    WHEN movement = 'restore' AND grant_id = about_seq AND is_last AND amount > reclaimed_before
                        THEN 'refunded'
                    ELSE 'recognised' END AS goes_to
        FROM paid p
    ), summed AS (
        SELECT day, movement, item, feature, currency, sum(credits) AS credits,
               sum(CASE goes_to WHEN 'sold' THEN -leaving ELSE 0 END) AS sold_minor,
               sum(CASE goes_to WHEN 'recognised' THEN leaving ELSE 0 END - given_back) AS recognised_minor,
               sum(CASE goes_to WHEN 'breakage' THEN leaving ELSE 0 END) AS breakage_minor,
               sum(CASE goes_to WHEN 'refunded' THEN leaving ELSE 0 END + given_back) AS refunded_minor,
               sum(-leaving) AS deferred_minor
        FROM valued GROUP BY 1, 2, 3, 4, 5
        UNION ALL
        SELECT day, movement, item, feature, '', sum(credits), 0, 0, 0, 0, 0
        FROM known WHERE coalesce(cost, 0) = 0 AND credits <> 0 GROUP BY 1, 2, 3, 4
    )
"""
