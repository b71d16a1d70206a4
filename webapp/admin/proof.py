"""/admin/proof: what the last proof of the ledger found, its trial balance, its seals, and a button to prove it now."""

import json
from dataclasses import dataclass
from datetime import datetime

import structlog
from flask import Blueprint, Response, abort, flash, redirect, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from redis.exceptions import RedisError
from rq.exceptions import DuplicateJobError
from rq.job import Job
from rq.serializers import JSONSerializer
from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp.admin import audit
from webapp.admin.jobs_in_redis import read_now
from webapp.billing.proofs import Proof, last_proof
from webapp.database import unit_of_work
from webapp.job_runs import JobRun, last_runs
from webapp.people.roles import require_role
from webapp.queue import queue, redis_connection

log = structlog.get_logger()

pages = Blueprint("admin_proof", __name__)

PATH = "/admin/proof"
JOB = "verify_ledger"
MOST_SEALS = 10
MOST_FINDINGS = 50
_QUEUED_FOR_SECONDS = 3_600

HOUSE = {
    "sales": _l("Bought"),
    "promotions": _l("Given"),
    "rollover": _l("Carried over"),
    "usage": _l("Used, less what was given back"),
    "breakage": _l("Expired"),
    "refunds": _l("Taken back, less what was restored"),
    "grants": _l("What grants have left"),
    "debt": _l("What accounts owe"),
}
_SEALS = text(
    "SELECT number, sealed_at, accounts, encode(hmac, 'hex') AS hmac, key_id FROM ledger.seals_v"
    " ORDER BY number DESC LIMIT :most"
)


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a proof is doing: waiting (in the queue), running, unknown (begun, and nobody works on it), idle or away."""

    state: str
    began_at: datetime | None = None
    entries: int = 0
    of_about: int = 0

    @property
    def goes_on(self) -> bool:
        return self.state in ("waiting", "running")


@pages.get(PATH)
@require_role("finance")
def proof() -> ResponseReturnValue:
    """The page. It recomputes nothing: figures are those of the last proof."""
    with unit_of_work() as session:
        found = last_proof(session)
        return render_template(
            "admin/proof/index.html",
            proof=found,
            run=read_run(session, found),
            seals=session.execute(_SEALS, {"most": MOST_SEALS}).all(),
            balance=_balance_of(found),
            most_findings=MOST_FINDINGS,
        )


@pages.get(f"{PATH}/run")
@require_role("finance")
def progress() -> ResponseReturnValue:
    """The part that a browser asks for again until the proof has ended; then the page is read anew."""
    with unit_of_work() as session:
        run = read_run(session, last_proof(session))
    answer = Response(render_template("admin/proof/_run.html", run=run))
    if not run.goes_on:
        answer.headers["HX-Refresh"] = "true"
    return answer


@pages.post(f"{PATH}/run")
@require_role("finance")
def run_now() -> ResponseReturnValue:
    """A worker is told to prove the ledger, once however often the button is pressed."""
    from jobs.run_periodic import periodic_job, run_periodic

    try:
        with unit_of_work() as session:
            last = _last_run(session)
            if read_run(session, None).goes_on:
                flash(_("A proof is under way already."))
                return redirect(PATH, 303)
            audit.record(session, by=audit.doer(), act="job.run", subject=f"job:{JOB}")
            queue().enqueue(
                run_periodic,
                JOB,
                job_id=_job_id(last),
                unique=True,
                job_timeout=periodic_job(JOB).timeout_seconds,
                ttl=_QUEUED_FOR_SECONDS,
                result_ttl=60,
                failure_ttl=60,
            )
    except DuplicateJobError:
        log.info("proof_pressed_twice")
    except RedisError:
        flash(_("Redis is away, so nothing has happened. Try again in a moment."), "bad")
    return redirect(PATH, 303)


@pages.get(f"{PATH}.json")
@require_role("finance")
def report() -> ResponseReturnValue:
    """The report of the last proof, as `flask ledger verify --json` prints it, to be saved."""
    with unit_of_work() as session:
        found = last_proof(session)
        if found is None:
            abort(404)
        body = json.dumps(found.report, ensure_ascii=False, indent=2) + "\n"
        name = f"proof-{found.finished_at:%Y-%m-%d}.json"
    answer = Response(body, mimetype="application/json")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    answer.cache_control.no_store = True
    return answer


def read_run(session: Session, proof: Proof | None) -> Run:
    """What goes on now, as Redis and the newest run tell."""
    last = _last_run(session)
    now = read_now()
    if now.away:
        return Run(state="away")
    job = next((job for job in now.running if job.about == JOB), None)
    if job is not None:
        about = 0 if proof is None else int(proof.report.get("entries", 0))
        return Run(state="running", began_at=job.began_at, entries=job.counts.get("entries", 0), of_about=about)
    if _is_queued(last):
        return Run(state="waiting")
    if last is not None and last.outcome is None:
        return Run(state="unknown", began_at=last.started_at)
    return Run(state="idle")


def _last_run(session: Session) -> JobRun | None:
    return last_runs(session, names=[JOB]).get(JOB)


def _job_id(last: JobRun | None) -> str:
    """The same until a proof begins: two who press before that ask for one."""
    return f"proof-after-{0 if last is None else last.id}"


def _is_queued(last: JobRun | None) -> bool:
    try:
        if not Job.exists(_job_id(last), connection=redis_connection()):
            return False
        job = Job.fetch(_job_id(last), connection=redis_connection(), serializer=JSONSerializer)
        return bool(job.is_queued or job.is_started)
    except RedisError:
        return False


def _balance_of(proof: Proof | None) -> list[tuple[str, object, int]]:
    """(account, label, balance) of the trial balance; its sum is zero."""
    if proof is None:
        return []
    told = proof.report.get("trial_balance", {})
    return [(account, label, int(told.get(account, 0))) for account, label in HOUSE.items()]
