"""Invariant 10 once more: what reports have added up is what entries say, kind by kind, as far as it is rolled up."""

from sqlalchemy import text

OFF_THE_ENTRIES = text(
    """
    SELECT 10 AS invariant, CAST(NULL AS bigint) AS account_id,
           format('reports until %s have %s credits of %s instead of %s', p.rolled_until, coalesce(r.credits, 0), kind,
                  coalesce(e.credits, 0)) AS detail
    FROM report_progress p
    CROSS JOIN (
        SELECT CASE WHEN d.movement IN ('grant', 'purchase', 'rollover', 'repay') THEN 'grants' ELSE d.movement END
               AS kind, sum(d.credits) AS credits
        FROM report_days d WHERE d.movement <> 'opening' GROUP BY 1
    ) r
    FULL JOIN (
        SELECT CASE WHEN v.kind IN ('grant', 'purchase') THEN 'grants' ELSE v.kind END AS kind, sum(v.amount) AS credits
        FROM ledger.entries_v v, report_progress q WHERE v.booked_at < q.rolled_until GROUP BY 1
    ) e USING (kind)
    WHERE coalesce(r.credits, 0) <> coalesce(e.credits, 0)
    """
)
