"""What docs/integrator.md shows works against a running Tallystick, and is answered as it says."""

import json
import shutil
import subprocess
import sys
from typing import Any

import pytest
from flask import Flask

from tests.docs.pages import ROOT, Block, blocks_of
from tests.instance import Instance

PAGE = ROOT / "docs/integrator.md"
BLOCKS = blocks_of(PAGE)
HERE = "http://localhost:8000"
# What differs from run to run; that it is there, and of which type, is compared all the same.
DIFFERS = {"created_at", "occurred_at", "booked_at", "expires_at", "hash", "request_id", "version", "url",
           "batch", "results_url", "accepted_at"}  # fmt: skip
DIFFERS |= {"since", "until"}


def test_each_curl_is_answered_as_the_page_shows(instance: Instance) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl on the PATH")
    setting, *rest = [block for block in BLOCKS if block.language in ("sh", "json")]
    assert len(rest) >= 12
    for asked, answered in zip(rest[::2], rest[1::2], strict=True):
        assert (asked.language, answered.language) == ("sh", "json")
        script = f"set -eu\n{setting.code}\n{asked.code}".replace(HERE, instance.base_url)
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        shown = json.loads(answered.code.replace(HERE, instance.base_url))
        compare(shown, json.loads(done.stdout), asked)


def compare(shown: Any, answered: Any, asked: Block, where: str = "") -> None:
    if isinstance(shown, dict) and isinstance(answered, dict):
        assert shown.keys() == answered.keys(), (asked.code, where)
        for name in shown:
            if name in DIFFERS:
                assert type(shown[name]) is type(answered[name]), (asked.code, name)
            else:
                compare(shown[name], answered[name], asked, f"{where}.{name}")
    elif isinstance(shown, list) and isinstance(answered, list):
        assert len(shown) == len(answered), (asked.code, where)
        for place, pair in enumerate(zip(shown, answered, strict=True)):
            compare(*pair, asked, f"{where}[{place}]")
    else:
        assert shown == answered, (asked.code, where)


def test_the_python_of_the_page_runs_twice(instance: Instance) -> None:
    programs = [block.code for block in BLOCKS if block.language == "python"]
    says = ("4 credits charged, 46 left", "800 needed, 26 there")
    for program, said in zip(programs, says, strict=True):
        for _ in range(2):
            there = program.replace(HERE, instance.base_url)
            done = subprocess.run([sys.executable, "-c", there], capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stderr
            assert said in done.stdout


def test_every_code_of_a_problem_is_on_the_page(app: Flask) -> None:
    from webapp.api.problems import _titles

    page = PAGE.read_text("utf-8")
    with app.test_request_context():
        for code in _titles():
            assert f"`{code}`" in page, code
