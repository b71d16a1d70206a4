"""The embedded servers: found, started, adopted, recovered and ended."""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import redis as redis_py
from rq import Queue
from rq.serializers import JSONSerializer

from tests.instance import ROOT, alive
from webapp.embedded import places
from webapp.embedded.errors import CannotStart
from webapp.embedded.servers import Servers, ensure_servers

# Starts the servers of a folder, says so, and waits for its death.
STARTER = """
import sys
from pathlib import Path
from webapp.embedded.servers import ensure_servers
servers = ensure_servers(Path(sys.argv[1]))
print(*sorted(servers.pids()), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def data_dir(server_addresses: tuple[str, str, Path]) -> Iterator[Path]:
    # Beneath pytest's own tmp_path nobody else may search, and as root the servers are somebody else.
    with tempfile.TemporaryDirectory(dir=server_addresses[2], ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def grown(data_dir: Path, grow: Callable[[Path], None]) -> None:
    """Most need a cluster, whoever made it."""
    grow(data_dir)


@pytest.fixture
def start(data_dir: Path) -> Iterator[Callable[..., Servers]]:
    started: list[Servers] = []

    def start_servers(folder: Path = data_dir, **options: Any) -> Servers:
        started.append(ensure_servers(folder, **options))
        return started[-1]

    yield start_servers
    for servers in started:
        servers.stop()


def remember(servers: Servers, text: str) -> None:
    with psycopg.connect(servers.owner_url) as owner:
        owner.execute("CREATE TABLE IF NOT EXISTS remembered (text text)")
        owner.execute("INSERT INTO remembered VALUES (%s)", [text])
    with redis_py.Redis.from_url(servers.redis_url) as client:
        client.rpush("remembered", text)


def remembered(servers: Servers) -> tuple[list[str], list[str]]:
    with psycopg.connect(servers.owner_url) as owner:
        rows = [text for (text,) in owner.execute("SELECT text FROM remembered")]
    with redis_py.Redis.from_url(servers.redis_url) as client:
        return rows, [text.decode() for text in client.lrange("remembered", 0, -1)]


def start_in_another_process(data_dir: Path) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(data_dir)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout is not None
    return starter, [psutil.Process(int(pid)) for pid in starter.stdout.readline().split()]


def close(starter: subprocess.Popen[str]) -> None:
    assert starter.stdin is not None
    assert starter.stdout is not None
    starter.stdin.close()
    starter.stdout.close()
    starter.wait(60)


def test_both_servers_start_and_keep_their_data_over_a_stop(start):
    servers = start()
    assert servers.started == ["postgres", "redis"]
    remember(servers, "kept")
    servers.stop()
    assert remembered(start()) == (["kept"], ["kept"])


@pytest.mark.usefixtures("grown")
def test_no_process_is_left_after_stop(start):
    servers = start()
    processes = [psutil.Process(pid) for pid in servers.pids()]
    family = [child for process in processes for child in (process, *process.children(recursive=True))]
    assert len(family) > 2
    servers.stop()
    assert alive(family) == []


@pytest.mark.usefixtures("grown")
def test_running_servers_are_adopted_and_left_alone(start):
    first = start()
    second = start()
    assert second.started == []
    assert (second.owner_url, second.redis_url) == (first.owner_url, first.redis_url)
    second.stop()
    remember(first, "still here")


def test_two_starters_at_once_start_one_of_each(start, data_dir):
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: ensure_servers(data_dir), range(4)))
    try:
        assert sorted(name for servers in made for name in servers.started) == ["postgres", "redis"]
    finally:
        for servers in made:
            servers.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of a killed process")
@pytest.mark.usefixtures("grown")
def test_a_killed_starter_takes_its_servers_along_and_the_next_start_has_the_data(start, data_dir):
    starter, processes = start_in_another_process(data_dir)
    try:
        remember(start(), "survives")
        starter.kill()
        psutil.wait_procs(processes, timeout=30)
        assert alive(processes) == []
    finally:
        close(starter)
    assert remembered(start()) == (["survives"], ["survives"])


@pytest.mark.usefixtures("grown")
def test_killed_servers_are_recovered(start):
    servers = start()
    remember(servers, "acknowledged")
    killed = [psutil.Process(pid) for pid in servers.pids()]
    for process in killed:
        process.kill()
    psutil.wait_procs(killed, timeout=10)
    assert not servers.alive()
    servers.revive()
    assert remembered(servers)[0] == ["acknowledged"]


@pytest.mark.usefixtures("grown")
def test_a_pid_file_that_names_another_program_is_no_obstacle(start, data_dir):
    start().stop()
    (data_dir / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{data_dir}/postgres\n0\n5432\n/x\n\n\n")
    (data_dir / "redis" / "redis.pid").write_text(f"{os.getpid()} 1.0")
    assert start().started == ["postgres", "redis"]


def test_a_cluster_that_was_half_made_is_made_again(start, data_dir):
    half_made = data_dir / "postgres.new"
    half_made.mkdir()
    (half_made / "PG_VERSION").write_text("18\n")
    assert "postgres" in start(redis=False).started


@pytest.mark.usefixtures("grown")
def test_a_redis_whose_socket_was_swept_away_is_replaced(start, data_dir):
    starter, _ = start_in_another_process(data_dir)
    try:
        (places.socket_dir(data_dir=data_dir.resolve()) / "redis.sock").unlink()
        servers = start(database=False)
        assert servers.started == ["redis"]
        with redis_py.Redis.from_url(servers.redis_url) as client:
            assert client.ping()
    finally:
        close(starter)


def test_a_path_too_long_for_a_socket_is_fine(start, data_dir):
    servers = start(data_dir / ("deep-" * 20) / ("deeper " * 10))
    remember(servers, "far down")
    assert remembered(servers) == (["far down"], ["far down"])


@pytest.mark.usefixtures("grown")
def test_nobody_else_can_reach_the_sockets(start, data_dir):
    start(redis=False)
    folder = places.socket_dir(data_dir=data_dir.resolve())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.usefixtures("grown")
def test_nothing_listens_on_tcp(start):
    servers = start()
    for pid in servers.pids():
        assert [c for c in psutil.Process(pid).net_connections(kind="inet") if c.status == "LISTEN"] == []


@pytest.mark.usefixtures("grown")
def test_what_is_acknowledged_is_on_disk(start):
    with psycopg.connect(start(redis=False).database_url) as connection:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            assert connection.execute("SELECT current_setting(%s)", [name]).fetchone() == ("on",)


def test_redis_writes_its_file_and_evicts_nothing(start):
    with redis_py.Redis.from_url(start(database=False).redis_url) as client:
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


@pytest.mark.usefixtures("grown")
def test_the_callers_postgresql_variables_mislead_nobody(start, monkeypatch):
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGHOST", "nowhere.invalid")
    monkeypatch.setenv("PGDATA", "/nowhere")
    with psycopg.connect(start(redis=False).owner_url) as owner:
        assert owner.execute("SELECT 1").fetchone() == (1,)


def test_the_redis_url_suits_rq(start):
    with redis_py.Redis.from_url(start(database=False).redis_url) as client:
        Queue(connection=client, serializer=JSONSerializer).enqueue("jobs.none.none", 1)
        assert client.llen("rq:queue:default") == 1


def test_a_folder_that_cannot_be_written_is_refused_by_name(start, data_dir):
    (data_dir / "file").write_text("")
    with pytest.raises(CannotStart, match=r"DATA_DIR .*/file/data cannot be written: Not a directory"):
        start(data_dir / "file" / "data")


def test_a_full_disk_is_refused_before_anything_is_made(start, data_dir, monkeypatch):
    monkeypatch.setattr(places, "FIRST_START_BYTES", 2**62)
    with pytest.raises(CannotStart, match="less than 300 MB free"):
        start()
    assert list(data_dir.iterdir()) == []


@pytest.mark.usefixtures("grown")
def test_data_of_another_postgresql_is_refused(start, data_dir):
    start(redis=False).stop()
    (data_dir / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(CannotStart, match="made by PostgreSQL 17"):
        start(redis=False)


def test_a_socket_folder_of_somebody_else_is_refused(start, data_dir):
    folder = places.socket_dir(data_dir=data_dir.resolve())
    folder.symlink_to(data_dir)
    try:
        with pytest.raises(CannotStart, match="belongs to somebody else"):
            start()
    finally:
        folder.unlink()


@pytest.mark.usefixtures("grown")
def test_what_stops_postgresql_from_starting_is_quoted(start):
    with pytest.raises(CannotStart, match="no_such_setting"):
        start(redis=False, settings={"no_such_setting": "1"})
