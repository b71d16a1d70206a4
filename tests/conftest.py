"""What all tests share: real servers, an application, and databases of their own.

servers (module)    .owner_url, .database_url, .superuser_url: plain postgresql:// URLs of this file's own
                    migrated database, as its owner, as the application, as a superuser; .redis_url;
                    .data_dir, a folder for mail and the like.
settings (module)   Settings in sandbox mode that point at `servers`. `settings_for(servers, NAME="value")`, a
                    function of this file, makes others.
app (module)        create_app(settings). No context is pushed.
client              A test client of `app` with cookies of its own.
session             A SQLAlchemy Session in a context of `app`, as the application's role. Rolled back at the
                    end: commit what other connections must see.
owner_connection, superuser_connection
                    psycopg connections in autocommit mode.
redis               A redis-py client of `servers.redis_url`.
fresh_database      Like `servers`, on a database of this one test: migrated, and nothing in it. Its Redis is
                    flushed first. `fresh_app` is an application on it.
instance (session)  The whole of Tallystick running as `make run` starts it, on servers of its own: .base_url,
                    .sandbox_url, .data_dir, .pid_of("worker"), .output (tests/instance.py). Don't kill it:
                    `new_instance(NAME="value")` makes one of your own for that, from nothing unless `grown`.
forks (session)     Starts processes of the application's, and of tests', that need not import it (tests/forks.py).
grow (session)      Puts a migrated cluster into a data directory: its first start is the second one.
chromium            Path of a Chromium. Skips where there is none; with CI=true that fails.
make_app (session)  `make_app(servers, NAME="value")` makes any other application.
costly_passwords    Passwords are hashed as for people. Without it hashing costs nothing: a thousand people sign up
                    in these tests, at a fifth of a second of a processor each.

Tests don't clean up tables: they make accounts and people with unique names, and who needs emptiness asks for
`fresh_database`. What one file leaves no other finds, so it does not matter which of them a worker has run before.
One PostgreSQL and one Redis serve all workers of `pytest -n`; each worker has its own numbered Redis database.

Servers of yours instead: TEST_DATABASE_SUPERUSER_URL (may create databases and roles) and TEST_REDIS_URL.
"""

import fcntl
import gc
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis as redis_py
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy.orm import Session

from tests.forks import Forks
from tests.instance import Instance
from tests.servers import SERVER_SETTINGS as SERVER_SETTINGS
from tests.servers import TestServers, copy_template, drop_database, grow_cluster, start_once, stop, with_database
from webapp.embedded import places
from webapp.i18n import files

# The first has no windows to draw, and takes a quarter less of a processor.
CHROMIUMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")

_numbers = count(1)


# ---------------------------------------------------------------- the run


def pytest_configure_node(node: Any) -> None:
    """The controller of `pytest -n` starts the servers and tells each worker where they are."""
    maintenance_url, redis_url, data_dir = start_once()
    node.workerinput["servers"] = (maintenance_url, redis_url, str(data_dir))


def pytest_configure() -> None:
    gc.set_threshold(50_000, 20, 50)


def pytest_collection_finish() -> None:
    """What is there now stays to the end: to look through it for garbage again and again took a tenth of the run."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long tests run only when `-m` asks for them, and those that take longest begin first."""
    items.sort(key=_place_in_run)
    if "nightly" in (config.option.markexpr or ""):
        return
    long = [item for item in items if item.get_closest_marker("nightly")]
    items[:] = [item for item in items if item not in long]
    config.hook.pytest_deselected(items=long)


# What these need is made once for all of them, and takes long to make: a shop with somebody in every state, served by
# the test's own process; or the whole of Tallystick in processes of its own. `pytest -n` gives each line to one worker.
TOGETHER = (
    (
        "tests/browser/test_every_page.py",
        "tests/browser/test_languages.py",
        "tests/browser/test_without_scripts.py",
        "tests/browser/test_keyboard.py",
        "tests/browser/test_hostile_account.py",
    ),
    (
        "tests/browser/test_story.py",
        "tests/browser/test_components.py",
        "tests/browser/test_saved_cards.py",
        "tests/browser/test_usage_page.py",
        "tests/browser/test_embedded.py",
        "tests/embedded/test_command_line.py",
        "tests/docs/test_integrator.py",
    ),
)
# Long ones come first: at the end of the run other workers would have nothing to do beside them.
BEGIN_FIRST = (
    *TOGETHER[0],
    "tests/browser/test_plan_story.py",
    *TOGETHER[1],
    "tests/browser/",
    "tests/test_types.py",
    "tests/embedded/",
    "tests/jobs/test_resilience.py",
    "tests/billing/test_order_independence.py",
    "tests/billing/test_subscription_order.py",
    "tests/billing/test_kills.py",
    "tests/credits/test_personal_data.py",
)


def _place_in_run(item: pytest.Item) -> int:
    names = [place for place, start in enumerate(BEGIN_FIRST) if item.nodeid.startswith(start)]
    return names[0] if names else len(BEGIN_FIRST)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`--dist loadfile` also keeps those files with one worker that stand together above."""
    if config.option.dist != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    first = {file: files[0] for files in TOGETHER for file in files}

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return first.get(file, file)

    return Scheduling(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests have counted, whichever process they ran in."""
    for report in terminalreporter.getreports("passed"):
        for name, counted in report.user_properties:
            if name == "shown at the end":
                terminalreporter.write_line(f"\n{counted}")


def pytest_unconfigure() -> None:
    stop()


# ---------------------------------------------------------------- fixtures


@pytest.fixture(autouse=True)
def clock_of_no_other_test() -> Iterator[None]:
    """The clock is one a process, and a test may have moved that of its own database."""
    from webapp import clock

    clock.forget()
    yield
    clock.forget()


@pytest.fixture(scope="session", autouse=True)
def costly_hasher() -> Iterator[PasswordHasher]:
    """The hasher of passwords that people get, yielded; meanwhile the tests' people have one that costs nothing."""
    from webapp.people import passwords

    costly = passwords._hasher
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield costly


@pytest.fixture(scope="session", autouse=True)
def impatient_sdk() -> Iterator[None]:
    """Stripe's SDK asks again at once, where it would wait for a second in all.

    But for what Stripe refuses while another request with the same key is being worked on (409): that takes its time.
    """
    import stripe

    asks_again = stripe.HTTPClient._should_retry

    def waits_for_another(self: Any, response: Any, error: Any, retries: int, most: int | None) -> bool:
        again = asks_again(self, response, error, retries, most)
        if again and response is not None and response[1] == 409:
            time.sleep(0.5 * 2**retries)
        return again

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0.01)
        patch.setattr(stripe.HTTPClient, "_should_retry", waits_for_another)
        yield


@pytest.fixture
def costly_passwords(costly_hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch) -> Iterator[PasswordHasher]:
    """Passwords cost in this test what they cost people."""
    from webapp.people import passwords

    passwords._hash_of_nobody.cache_clear()
    monkeypatch.setattr(passwords, "_hasher", costly_hasher)
    yield costly_hasher
    passwords._hash_of_nobody.cache_clear()


@pytest.fixture(scope="session")
def server_addresses(request: pytest.FixtureRequest) -> tuple[str, str, Path]:
    """Maintenance URL, Redis URL of this worker, and a folder for this worker."""
    worker: str = getattr(request.config, "workerinput", {}).get("workerid", "main")
    given = getattr(request.config, "workerinput", {}).get("servers")
    maintenance_url, redis_url, data_dir = given if given is not None else start_once()
    if worker != "main":
        redis_url = redis_url.replace("db=0", f"db={1 + int(worker.removeprefix('gw')) % 15}")
    folder = Path(data_dir) / "workers" / worker
    folder.mkdir(parents=True, exist_ok=True)
    return maintenance_url, redis_url, folder


@pytest.fixture(scope="module")
def servers(server_addresses: tuple[str, str, Path]) -> Iterator[TestServers]:
    """This file's own migrated database, dropped after it, and the worker's Redis, flushed before."""
    yield from _one_database(server_addresses)


@pytest.fixture
def fresh_database(server_addresses: tuple[str, str, Path]) -> Iterator[TestServers]:
    """A migrated and otherwise empty database for one test, dropped after it; Redis is flushed before."""
    yield from _one_database(server_addresses)


def _one_database(addresses: tuple[str, str, Path]) -> Iterator[TestServers]:
    fresh = _new_database(addresses)
    with redis_py.Redis.from_url(fresh.redis_url) as client:
        client.flushdb()
    yield fresh
    drop_database(addresses[0], fresh.database)


def _new_database(addresses: tuple[str, str, Path]) -> TestServers:
    maintenance_url, redis_url, folder = addresses
    name = f"test_{os.getpid()}_{next(_numbers)}"
    copy_template(maintenance_url, name)
    data_dir = folder / name
    data_dir.mkdir()
    return TestServers(with_database(maintenance_url, name), redis_url, name, data_dir)


def settings_for(servers: TestServers, **environment: str) -> Any:
    """Settings in sandbox mode on `servers`; nothing of the shell's environment leaks in."""
    from webapp.config import Settings

    return Settings.from_environment(
        {
            "DATABASE_URL": servers.database_url,
            "DATABASE_OWNER_URL": servers.owner_url,
            "REDIS_URL": servers.redis_url,
            "DATA_DIR": str(servers.data_dir),
            **environment,
        }
    )


@pytest.fixture(scope="module")
def settings(servers: TestServers) -> Any:
    return settings_for(servers)


class CompiledTemplates(BytecodeCache):
    """Shared by all applications: a template is compiled once, and not by each of hundreds."""

    def __init__(self) -> None:
        self._compiled: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._compiled.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._compiled[bucket.key, bucket.checksum] = bucket.code


@pytest.fixture(scope="session")
def make_app() -> Iterator[Callable[..., Flask]]:
    """Makes applications on any servers; their connections are closed at the end."""
    from webapp import create_app
    from webapp.extensions import db

    made: list[Flask] = []
    compiled = CompiledTemplates()

    def make(servers: TestServers, **environment: str) -> Flask:
        app = create_app(settings_for(servers, **environment))
        app.testing = True
        app.jinja_env.bytecode_cache = compiled
        made.append(app)
        return app

    yield make
    for app in made:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


@pytest.fixture(scope="module")
def app(make_app: Callable[..., Flask], servers: TestServers) -> Iterator[Flask]:
    yield from _one_app(make_app, servers)


@pytest.fixture
def fresh_app(make_app: Callable[..., Flask], fresh_database: TestServers) -> Iterator[Flask]:
    yield from _one_app(make_app, fresh_database)


def _one_app(make_app: Callable[..., Flask], servers: TestServers) -> Iterator[Flask]:
    from webapp.extensions import db

    app = make_app(servers)
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture(scope="session")
def grow(server_addresses: tuple[str, str, Path]) -> Callable[[Path], None]:
    """Puts the files of a cluster of this version into a data directory, as a whole Tallystick would leave them.

    To make and to migrate one takes five seconds of a processor: whoever comes first does, and others copy it.
    """
    root = server_addresses[2].parent

    def grow(data_dir: Path) -> None:
        with (root / "grown.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (root / "grown").exists():
                grow_cluster(root / "growing")
                (root / "growing").rename(root / "grown")
        data_dir.mkdir(exist_ok=True)
        subprocess.run(["cp", "-a", root / "grown" / "postgres", data_dir / "postgres"], check=True)
        places.open_way_to(data_dir / "postgres", user=places.choose_server_user())

    return grow


@pytest.fixture(scope="session")
def new_instance(
    server_addresses: tuple[str, str, Path], grow: Callable[[Path], None]
) -> Iterator[Callable[..., Instance]]:
    """Makes instances; those that are `grown` find a cluster of this version, where others make and migrate one."""
    made: list[Instance] = []

    def make(data_dir: Path | None = None, *, grown: bool = False, **environment: str) -> Instance:
        data_dir = data_dir or server_addresses[2] / f"instance-{next(_numbers)}"
        if grown:
            grow(data_dir)
        made.append(Instance(data_dir=data_dir, **environment))
        return made[-1]

    yield make
    for instance in made:
        instance.ask_to_end()
    for instance in made:
        instance.end()


@pytest.fixture(scope="session")
def instance(new_instance: Callable[..., Instance], tmp_path_factory: pytest.TempPathFactory) -> Instance:
    translations = tmp_path_factory.mktemp("of-instance") / "translations"  # a test may hand in what it translated
    shutil.copytree(files.FOLDER, translations, ignore=shutil.ignore_patterns(".*"))
    instance = new_instance(grown=True, TRANSLATIONS_DIR=str(translations))
    instance.start_and_wait()
    instance.wait_for_banner()
    return instance


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    with Forks() as forks:
        yield forks


@pytest.fixture(scope="session")
def chromium() -> str:
    for name in CHROMIUMS:
        if found := shutil.which(name):
            return found
    reason = "no Chromium on the PATH (Debian: apt install chromium)"
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def session(app: Flask) -> Iterator[Session]:
    from webapp.extensions import db

    with app.app_context():
        yield db.session()
        db.session.rollback()


@pytest.fixture
def owner_connection(servers: TestServers) -> Iterator[psycopg.Connection]:
    with psycopg.connect(servers.owner_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def superuser_connection(servers: TestServers) -> Iterator[psycopg.Connection]:
    with psycopg.connect(servers.superuser_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def redis(servers: TestServers) -> Iterator[redis_py.Redis]:
    with redis_py.Redis.from_url(servers.redis_url) as client:
        yield client
