"""`make run`: one tree of processes that comes up whole, mends itself, and ends whole."""

import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.instance import Instance, alive
from webapp.embedded.running import running_environment

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of a killed process")


@pytest.fixture(scope="module")
def home(new_instance: Callable[..., Instance]) -> Instance:
    """One instance that the tests of this file share, begun from nothing; each leaves it ready."""
    instance = new_instance()
    instance.start_and_wait()
    instance.wait_for_banner()
    return instance


@pytest.fixture
def own(new_instance: Callable[..., Instance]) -> Iterator[Instance]:
    """An instance of this test alone, not started yet."""
    instance = new_instance()
    yield instance
    instance.end()


def remember(instance: Instance, text: str) -> None:
    with psycopg.connect(running_environment(data_dir=instance.data_dir)["DATABASE_OWNER_URL"]) as owner:
        owner.execute("CREATE TABLE IF NOT EXISTS remembered (text text)")
        owner.execute("INSERT INTO remembered VALUES (%s)", [text])


def remembered(instance: Instance) -> list[str]:
    with psycopg.connect(running_environment(data_dir=instance.data_dir)["DATABASE_OWNER_URL"]) as owner:
        return [text for (text,) in owner.execute("SELECT text FROM remembered")]


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until_ended(processes: list[psutil.Process], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while left := alive(processes):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def ended_whole(instance: Instance, processes: list[psutil.Process]) -> bool:
    return not alive(processes) and not answers(instance.port) and not answers(instance.port + 1)


def test_ctrl_c_while_it_starts_leaves_nothing_running(own):
    own.start()
    own.wait_until(lambda: own.find("postgres"))
    processes = own.tree()
    own.stop()
    assert alive(processes) == []


@pytest.mark.parametrize("name", ["worker", "cron", "sandbox", "web"])
def test_a_dead_process_is_started_again(home, name):
    before = home.pid_of(name)
    os.kill(before, signal.SIGKILL)
    home.wait_until(lambda: home.pid_of(name) not in {before, None})
    home.wait_until(home.is_ready)
    assert f"{name} ended (SIGKILL); starting it again" in home.output


@pytest.mark.parametrize("name", ["postgres", "redis-server"])
def test_a_dead_server_is_started_again(home, name):
    if name == "redis-server" and home.find(name) is None:
        name = "valkey-server"
    victim = home.find(name)
    victim.kill()
    home.wait_until(lambda: home.find(name) not in {victim, None})
    home.wait_until(home.is_ready)


def test_orphans_are_collected(home):
    home.wait_until(home.is_ready)
    zombies = [process for process in home.tree() if process.status() == psutil.STATUS_ZOMBIE]
    assert zombies == []


def test_only_the_runner_knows_the_owners_url(home):
    home.wait_until(lambda: all(home.pid_of(name) for name in ("web", "worker", "cron", "sandbox")))
    for name in ("web", "worker", "cron", "sandbox"):
        environment = psutil.Process(home.pid_of(name)).environ()
        assert "DATABASE_OWNER_URL" not in environment
        assert "tallystick_app@" in environment["DATABASE_URL"]
        assert environment["BASE_URL"] == home.base_url


def test_secrets_are_readable_by_their_owner_alone(home):
    for name in ("run.json", "secret-key"):
        assert stat.S_IMODE((home.data_dir / name).stat().st_mode) == 0o600


def test_another_shell_learns_what_runs(home):
    environment = running_environment(data_dir=home.data_dir)
    assert environment["PORT"] == str(home.port)
    assert environment["STRIPE_API_BASE"] == home.sandbox_url
    assert running_environment(data_dir=Path("/nowhere")) == {}


def test_a_second_runner_of_the_same_data_is_refused(home, new_instance):
    second = new_instance(data_dir=home.data_dir)
    second.log = home.data_dir.with_name("second.log")
    assert second.start().process.wait(60) == 1
    assert f"already runs in {home.data_dir}, at {home.base_url}" in second.output
    home.wait_until(home.is_ready)


@pytest.mark.parametrize("offset", [0, 1])
def test_a_used_port_is_refused_before_anything_is_started(own, offset):
    with socket.create_server(("127.0.0.1", own.port + offset)):
        assert own.start().process.wait(60) == 1
    assert f"{own.port + offset} cannot be used: Address already in use" in own.output
    assert "PORT" in own.output
    assert not (own.data_dir / "postgres").exists()


def test_unsafe_settings_are_refused_before_anything_is_started(new_instance):
    unsafe = new_instance(STRIPE_SECRET_KEY="sk_live_1", STRIPE_API_BASE="http://127.0.0.1:1")
    assert unsafe.start().process.wait(60) == 2
    assert "refuses to start" in unsafe.output
    assert not unsafe.data_dir.exists()


def test_an_unwritable_data_dir_is_refused(new_instance, server_addresses):
    file = server_addresses[2] / "a-file"
    file.write_text("")
    instance = new_instance(DATA_DIR=str(file / "data"))
    assert instance.start().process.wait(60) == 1
    assert "cannot be written" in instance.output


@pytest.mark.parametrize(
    "environment",
    [{"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}, {"REDIS_URL": "redis://127.0.0.1:1/0"}],
    ids=lambda environment: next(iter(environment)),
)
def test_a_given_server_that_does_not_answer_is_named(new_instance, environment):
    instance = new_instance(**environment)
    assert instance.start().process.wait(60) == 1
    assert f"{next(iter(environment))} does not lead to" in instance.output


# The last ones, because they end what the others need.


def test_ctrl_c_ends_every_process_and_the_next_start_is_fast_and_has_the_data(home):
    assert home.find("postgres") is not None
    remember(home, "kept")
    key = (home.data_dir / "secret-key").read_text()
    processes = home.tree()
    assert home.stop(signal.SIGINT) == 0, home.output
    assert ended_whole(home, processes)
    assert not (home.data_dir / "run.json").exists()
    assert home.start_and_wait() < 45  # 6 s on a machine with nothing else to do
    assert remembered(home) == ["kept"]
    assert (home.data_dir / "secret-key").read_text() == key


@linux_only
def test_a_killed_runner_takes_all_along_and_the_next_start_has_the_data(home):
    remember(home, "acknowledged")
    processes = home.tree()
    processes[0].kill()
    wait_until_ended(processes)
    home.start_and_wait()
    assert "acknowledged" in remembered(home)
