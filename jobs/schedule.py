"""The one table of what happens periodically. Each job may run twice at once and does no harm."""

from collections.abc import Callable
from dataclasses import dataclass

from jobs.check_plans import check_plans
from jobs.check_purchases import check_purchases
from jobs.expire_due import expire_due
from jobs.grant_campaigns import grant_campaigns
from jobs.grant_due import grant_due
from jobs.rank_accounts import rank_accounts
from jobs.reconcile_stripe import reconcile_stripe
from jobs.roll_up_reports import roll_up_reports
from jobs.seal_ledger import seal_ledger
from jobs.sum_usage import sum_usage
from jobs.sweep_outbox import sweep_outbox
from jobs.sweep_usage import sweep_usage
from jobs.tidy_api_answers import tidy_api_answers
from jobs.tidy_job_runs import tidy_job_runs
from jobs.tidy_outbox import tidy_outbox
from jobs.tidy_sessions import tidy_sessions
from jobs.tidy_usage import tidy_usage
from jobs.verify_ledger import verify_ledger
from jobs.warn_expiring import warn_expiring


@dataclass(frozen=True, kw_only=True)
class Periodic:
    """`job` runs every `every_seconds`, for at most `timeout_seconds`."""

    job: Callable[[], None]
    every_seconds: int
    timeout_seconds: int = 300

    @property
    def name(self) -> str:
        return self.job.__name__


SCHEDULE = (
    Periodic(job=sweep_outbox, every_seconds=10, timeout_seconds=60),
    Periodic(job=sweep_usage, every_seconds=10, timeout_seconds=60),
    Periodic(job=expire_due, every_seconds=60),
    Periodic(job=grant_due, every_seconds=60, timeout_seconds=600),
    Periodic(job=grant_campaigns, every_seconds=600, timeout_seconds=1800),
    Periodic(job=check_purchases, every_seconds=60, timeout_seconds=60),
    Periodic(job=check_plans, every_seconds=60, timeout_seconds=60),
    Periodic(job=warn_expiring, every_seconds=3600, timeout_seconds=1800),
    Periodic(job=sum_usage, every_seconds=600, timeout_seconds=1800),
    Periodic(job=roll_up_reports, every_seconds=600, timeout_seconds=1800),
    Periodic(job=rank_accounts, every_seconds=3600, timeout_seconds=1800),
    Periodic(job=seal_ledger, every_seconds=3600, timeout_seconds=1800),
    Periodic(job=reconcile_stripe, every_seconds=24 * 3600, timeout_seconds=3600),
    Periodic(job=verify_ledger, every_seconds=24 * 3600, timeout_seconds=12 * 3600),
    Periodic(job=tidy_outbox, every_seconds=24 * 3600, timeout_seconds=1800),
    Periodic(job=tidy_api_answers, every_seconds=24 * 3600, timeout_seconds=1800),
    Periodic(job=tidy_sessions, every_seconds=24 * 3600, timeout_seconds=1800),
    Periodic(job=tidy_job_runs, every_seconds=24 * 3600, timeout_seconds=1800),
    Periodic(job=tidy_usage, every_seconds=24 * 3600, timeout_seconds=1800),
)
