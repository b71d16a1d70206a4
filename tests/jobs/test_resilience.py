"""Nothing is lost and nothing happens twice, whatever dies."""

import threading
from datetime import timedelta
from typing import Any

import psutil
import pytest

from tests.billing.shop import Buyer
from tests.jobs.works import Works, horses
from webapp import ledger, outbox
from webapp.billing.purchase import Purchase
from webapp.database import unit_of_work

RETRY = timedelta(seconds=31)


def pay(works: Works, buyer: Buyer) -> tuple[Purchase, dict[str, Any]]:
    """A paid purchase and its event, which nobody has delivered yet."""
    purchase = buyer.start()
    works.shop.press(purchase.stripe_session_id, "pay")
    (completed,) = works.shop.events(purchase.stripe_session_id)
    return purchase, completed


def is_fulfilled(works: Works, *purchases: Purchase) -> bool:
    return all(works.shop.purchase(purchase.id).state == "fulfilled" for purchase in purchases)


def test_a_job_is_done_by_a_worker_process_within_moments(works: Works) -> None:
    works.start("jobs.worker")
    buyer = works.shop.new_buyer()
    purchase, completed = pay(works, buyer)
    assert works.shop.deliver(completed).status_code == 200
    works.wait_until(lambda: is_fulfilled(works, purchase))
    assert buyer.bought() == [500]
    assert works.shop.outbox_row(f"stripe-event:{completed['id']}").done_at is not None


def test_a_worker_killed_with_its_horse_during_fulfilment_loses_and_doubles_nothing(works: Works) -> None:
    buyer = works.shop.new_buyer()
    purchase, completed = pay(works, buyer)
    worker = works.start("jobs.worker")
    with works.shut_gate() as gate:
        assert works.shop.deliver(completed).status_code == 200
        assert gate.waiting.acquire(timeout=60)  # the horse asks Stripe about the payment now
        (horse,) = horses(worker)
        worker.kill()
        horse.kill()
        psutil.wait_procs([worker, horse], timeout=30)
    assert buyer.bought() == []
    works.pass_time(RETRY)
    works.start("jobs.worker")
    works.start("jobs.cron")
    works.wait_until(lambda: is_fulfilled(works, purchase))
    assert buyer.bought() == [500]
    works.shop.assert_sound()


def test_a_horse_killed_alone_is_made_good_by_the_same_worker(works: Works) -> None:
    buyer = works.shop.new_buyer()
    purchase, completed = pay(works, buyer)
    worker = works.start("jobs.worker")
    with works.shut_gate() as gate:
        works.shop.deliver(completed)
        assert gate.waiting.acquire(timeout=60)
        (horse,) = horses(worker)
        horse.kill()
        works.wait_until(lambda: not horse.is_running() or horse.status() == psutil.STATUS_ZOMBIE)
    works.pass_time(RETRY)
    works.start("jobs.cron")
    works.wait_until(lambda: is_fulfilled(works, purchase))
    assert worker.is_running()
    assert buyer.bought() == [500]
    works.shop.assert_sound()


def test_a_flushed_redis_with_jobs_waiting_loses_nothing(works: Works) -> None:
    buyers = [works.shop.new_buyer() for _ in range(3)]
    paid = [pay(works, buyer) for buyer in buyers]
    for _purchase, completed in paid:
        works.shop.deliver(completed)
    assert works.redis.llen("rq:queue:default") == 3
    works.redis.flushall()
    works.start("jobs.worker")
    works.start("jobs.cron")
    works.pass_time(RETRY)
    works.wait_until(lambda: is_fulfilled(works, *[purchase for purchase, _ in paid]))
    assert [buyer.bought() for buyer in buyers] == [[500]] * 3
    works.shop.assert_sound()


def test_worker_and_cron_live_through_a_restart_of_redis(works: Works) -> None:
    worker, cron = works.start("jobs.worker"), works.start("jobs.cron")
    works.wait_until(lambda: works.redis.keys("rq:job:periodic-sweep_outbox-*"))
    buyer = works.shop.new_buyer()
    purchase, completed = pay(works, buyer)
    redis = works.servers.redis
    assert redis is not None
    assert redis.process is not None
    redis.process.kill()
    redis.process.wait(30)
    assert works.shop.deliver(completed).status_code == 200  # only the hint to the worker is lost
    works.servers.revive()
    works.redis.flushall()
    works.pass_time(RETRY)
    works.wait_until(lambda: is_fulfilled(works, purchase))
    assert worker.is_running()
    assert cron.is_running()
    assert buyer.bought() == [500]
    works.shop.assert_sound()


def test_two_schedulers_and_two_workers_do_no_harm(works: Works) -> None:
    for module in ("jobs.cron", "jobs.cron", "jobs.worker", "jobs.worker"):
        works.start(module)
    buyer = works.shop.new_buyer()
    purchase, completed = pay(works, buyer)
    threads = [threading.Thread(target=works.shop.deliver, args=(completed,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    works.wait_until(lambda: is_fulfilled(works, purchase))
    works.pass_time(timedelta(days=31))  # the welcome credits have expired, and two sweeps may book that
    account_id = buyer.user.account_id
    works.wait_until(lambda: works.redis.keys("rq:job:periodic-expire_due-*"))

    def expired() -> list[int]:
        page = works.shop.read(lambda session: ledger.entries(session, account_id=account_id, kinds=["expire"]))
        return [entry.amount for entry in page.entries]

    works.redis.delete(*works.redis.keys("rq:job:periodic-*"))
    with works.shop.app.app_context():
        from jobs.expire_due import expire_due

        expire_due()
    works.wait_until(expired)
    assert expired() == [-100]
    assert buyer.bought() == [500]
    # a mail about credits that was on its way when time leapt is a month old now, until the sweeper has handed it out
    works.wait_until(
        lambda: works.shop.read(lambda session: outbox.overdue(session, older_than=timedelta(days=1))) == 0
    )
    works.shop.assert_sound()


def test_a_restart_of_postgresql_under_load_loses_and_doubles_nothing(works: Works) -> None:
    works.start("jobs.worker")
    works.start("jobs.cron")
    buyers = [works.shop.new_buyer() for _ in range(6)]
    paid = [pay(works, buyer) for buyer in buyers]
    undelivered = {completed["id"]: completed for _purchase, completed in paid}
    seen: list[int] = []
    stop = threading.Event()

    def come_back_again_and_again(buyer: Buyer, purchase: Purchase) -> None:
        while not stop.is_set():
            seen.append(buyer.come_back(purchase).status_code)

    def deliver_until_taken(event: dict[str, Any]) -> None:
        while not stop.is_set():
            if works.shop.deliver(event).status_code == 200:
                undelivered.pop(event["id"], None)
                return
            stop.wait(0.2)

    threads = [
        *(
            threading.Thread(target=come_back_again_and_again, args=(b, p))
            for b, (p, _) in zip(buyers[:2], paid[:2], strict=True)
        ),
        *(threading.Thread(target=deliver_until_taken, args=(event,)) for _, event in paid),
    ]
    for thread in threads:
        thread.start()
    postgres = works.servers.postgres
    assert postgres is not None
    postgres.stop()
    works.servers.revive()
    works.wait_until(lambda: not undelivered)
    stop.set()
    for thread in threads:
        thread.join(60)
    works.pass_time(RETRY)
    works.wait_until(lambda: is_fulfilled(works, *[purchase for purchase, _ in paid]))
    assert [buyer.bought() for buyer in buyers] == [[500]] * 6
    assert set(seen) <= {200, 303, 503}, seen
    works.shop.assert_sound()


@pytest.mark.parametrize("kind", ["lost", "late"])
def test_a_purchase_whose_event_never_comes_is_settled_by_asking(works: Works, kind: str) -> None:
    buyer = works.shop.new_buyer()
    purchase, completed = pay(works, buyer)
    works.start("jobs.worker")
    works.start("jobs.cron")
    works.pass_time(timedelta(minutes=3))
    with works.shop.app.app_context():
        from jobs.check_purchases import check_purchases

        check_purchases()
    works.wait_until(lambda: is_fulfilled(works, purchase))
    if kind == "late":
        works.shop.deliver(completed)
        works.wait_until(lambda: works.shop.event(completed["id"]).state == "handled")
    assert buyer.bought() == [500]
    with works.shop.app.app_context(), unit_of_work() as session:
        assert session.get_one(Purchase, purchase.id).check_at is None
    works.shop.assert_sound()
