"""`flask unlock`: create, list, retire, offer."""

from collections.abc import Callable

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import text

from webapp.catalog.install import install_shipped_catalog
from webapp.database import unit_of_work

Run = Callable[..., Result]


@pytest.fixture
def run(fresh_app: Flask) -> Run:
    return lambda *args: fresh_app.test_cli_runner().invoke(args=["unlock", *args])


def make(run: Run, key: str = "video", *more: str) -> Result:
    return run("create", key, "--name", "Video", "--credits", "300", "--features", "video, subtitles", *more)


def test_an_unlock_is_made_listed_retired_and_offered_again(run: Run) -> None:
    made = make(run, "video", "--days", "90", "--description", "Moving pictures.")
    assert made.exit_code == 0, made.output
    assert made.output == "video: 300 credits open subtitles, video.\n"
    assert make(run, "sound").exit_code == 0
    assert run("list").output.splitlines() == [
        "video  300 credits  90 days  subtitles, video  on offer",
        "sound  300 credits  for good  subtitles, video  on offer",
    ]
    assert run("retire", "video").output == "video is not on offer any more.\n"
    assert "video  300 credits  90 days  subtitles, video  not on offer" in run("list").output
    assert run("offer", "video").output == "video is on offer.\n"
    assert "not on offer" not in run("list").output


def test_a_key_is_given_once(run: Run) -> None:
    make(run)
    again = make(run)
    assert again.exit_code == 1
    assert "there is already an unlock" in again.output


@pytest.mark.parametrize(
    "args",
    [
        ("Video", "--name", "V", "--credits", "1", "--features", "a"),
        ("a" * 65, "--name", "V", "--credits", "1", "--features", "a"),
        ("v", "--name", " ", "--credits", "1", "--features", "a"),
        ("v", "--name", "V", "--credits", "0", "--features", "a"),
        ("v", "--name", "V", "--credits", str(10**16), "--features", "a"),
        ("v", "--name", "V", "--credits", "1", "--features", ""),
        ("v", "--name", "V", "--credits", "1", "--features", "a b"),
        ("v", "--name", "V", "--credits", "1", "--features", "a", "--days", "40000"),
    ],
)
def test_what_cannot_be_is_refused(run: Run, args: tuple[str, ...]) -> None:
    assert run("create", *args).exit_code in (1, 2)
    assert run("list").output == ""


@pytest.mark.parametrize("command", ["retire", "offer"])
def test_what_is_not_there_is_named(run: Run, command: str) -> None:
    result = run(command, "nothing")
    assert result.exit_code == 1
    assert "no unlock 'nothing'" in result.output


def test_the_shipped_unlocks_come_once_and_overwrite_nothing(run: Run, fresh_app: Flask) -> None:
    for _ in range(2):
        with fresh_app.app_context(), unit_of_work() as session:
            install_shipped_catalog(session)
            session.execute(text("UPDATE unlocks SET credits = 7 WHERE key = 'brand-kit'"))
    assert run("list").output.splitlines() == [
        "brand-kit  7 credits  for good  own-colours, own-logo  on offer",
        "high-resolution  25 credits  30 days  image-4k  on offer",
    ]
