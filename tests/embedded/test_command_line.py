"""`flask …` in another shell acts on what runs in DATA_DIR."""

import os
import subprocess
import sys

from tests.instance import ROOT, Instance


def flask(*arguments: str, **environment: str) -> str:
    names = ("PATH", "HOME", "LANG")
    return subprocess.run(
        [sys.executable, "-m", "flask", *arguments],
        cwd=ROOT,
        env={name: os.environ[name] for name in names if name in os.environ} | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


def test_a_command_in_another_shell_knows_the_database_of_the_running_instance(instance: Instance) -> None:
    data_dir = str(instance.data_dir)
    assert "tallystick_app@" in flask("db-url", DATA_DIR=data_dir)
    assert "tallystick_owner@" in flask("db-url", "--owner", DATA_DIR=data_dir)


def test_a_command_in_another_shell_reaches_the_stripe_sandbox_of_the_running_instance(instance: Instance) -> None:
    # PORT is not told: the sandbox's address comes from the running instance.
    assert flask("stripe", "reconcile", DATA_DIR=str(instance.data_dir))


def test_the_proof_holds_on_the_running_instance(instance: Instance) -> None:
    assert "every invariant holds" in flask("ledger", "verify", DATA_DIR=str(instance.data_dir))


def test_a_database_that_is_not_there_is_said_in_a_sentence() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "flask", "ledger", "verify"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": "postgresql://x@127.0.0.1:1/x"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith("The database cannot be reached: ")
    assert "Traceback" not in ran.stderr
