"""Which environment variables are read, asked of the code that reads them."""

import re
from collections.abc import Mapping
from typing import Any

from tests.docs.pages import ROOT
from webapp.config import Settings


class Recorder(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        super().__init__(values or {})
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)


def settings_variables() -> set[str]:
    """What webapp/config.py reads."""
    environment = Recorder()
    Settings.from_environment(environment)
    return environment.asked


def extra_variables() -> set[str]:
    """What the sandbox, the runner, the Procfile and the image read besides."""
    sandbox = (ROOT / "webapp/stripe_sandbox/environment.py").read_text("utf-8")
    found = set(re.findall(r"environ\.get\(\"([A-Z_]+)\"", sandbox))
    found |= set(
        re.findall(r"os\.environ\.get\(\"([A-Z_]+)\"", (ROOT / "webapp/embedded/programs.py").read_text("utf-8"))
    )
    found |= set(re.findall(r"environ\.get\(\"([A-Z_]+)\"", (ROOT / "webapp/i18n/files.py").read_text("utf-8")))
    found |= set(re.findall(r"\$\{?(WEB_[A-Z]+|PROMETHEUS_[A-Z_]+)", (ROOT / "Procfile").read_text("utf-8")))
    return found


def known_variables() -> set[str]:
    return settings_variables() | extra_variables()
