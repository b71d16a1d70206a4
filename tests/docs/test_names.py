"""Every path, link, address, command and variable that the documents name exists."""

import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

import click
import pytest
from flask import Flask

from tests.docs.pages import DOCUMENTS, ROOT, anchors_of, code_of, links_of, name_of
from tests.docs.variables import known_variables

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)

TOP_LEVEL = (
    "webapp",
    "jobs",
    "templates",
    "static",
    "translations",
    "tests",
    "docs",
    "bench",
    "requirements",
)
# Hosts that a document may name; whatever else looks like one was copied from somewhere.
HOSTS = {
    "localhost",
    "127.0.0.1",
    "keepachangelog.com",
    "semver.org",
    "stripe.com",
    "docs.stripe.com",
    "api.stripe.com",
    "checkout.stripe.com",
    "www.rfc-editor.org",
}
PLACES_ON_MACHINES = ("/work/", "/root/", "/home/", "/mnt/", "/Users/")


@each_document
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in links_of(document):
        parts = urlsplit(link)
        if parts.scheme:
            assert parts.scheme == "https", link
            continue
        target = (document.parent / parts.path).resolve() if parts.path else document
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if parts.fragment:
            assert parts.fragment in anchors_of(target), link


@each_document
def test_every_path_in_the_project_exists(document: Path) -> None:
    for code in code_of(document):
        for path in re.findall(rf"(?<![\w./-])((?:{'|'.join(TOP_LEVEL)})/[\w./*-]*)", code):
            if "translations/pt_BR" in path:  # what a command is about to make
                continue
            assert list(ROOT.glob(path.rstrip("/."))), f"{path} in {code}"
        for module in re.findall(r"python -m ((?:webapp|jobs|docs|bench)[\w.]*)", code):
            assert find_module(module), code


def find_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__main__.py").exists()


@each_document
def test_every_make_target_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for code in code_of(document):
        for target in re.findall(r"(?:^|[`\s])make ([a-z][a-z-]*)(?:$|[\s`])", code):
            assert target in targets, code


@each_document
def test_every_flask_command_and_option_exists(document: Path, app: Flask) -> None:
    for code in code_of(document):
        for line in re.findall(r"(?<!^from)(?:^|[\"(\s])flask ([a-z-][^`\"#)]*)", code):
            words = shlex.split(line.replace("…", ""))
            if words[:1] == ["--app"]:
                words = words[2:]
            if words and not words[0].startswith("-"):
                check_command(app, words, code)


def check_command(app: Flask, words: list[str], code: str) -> None:
    if words[0] in ("shell", "routes"):  # Flask's own
        return
    command: click.Command | None = app.cli
    while words and isinstance(command, click.Group):
        if not re.fullmatch(r"[a-z][a-z-]*", words[0]):
            break
        command = command.commands.get(words.pop(0))
        assert command is not None, code
    options = {option for parameter in command.params for option in parameter.opts} if command else set()
    for word in words:
        if word.startswith("--"):
            assert word in options, code


@each_document
def test_every_address_is_served(document: Path, app: Flask) -> None:
    """Written as `/credits/entries/<seq>`, `GET /api/v1/features` or BASE_URL/stripe/webhook."""
    served = {shape(rule.rule) for rule in app.url_map.iter_rules()} | {"/"}
    for code in code_of(document):
        for path in re.findall(r"(?:^|(?:GET|POST|PUT|BASE_URL|localhost:8000) ?)(/[\w<>/.{}-]*)", code):
            if path.startswith(("/_sandbox", "/static")):  # the sandbox's own; files
                continue
            begins = any(address.startswith(path + "/") for address in served)
            assert begins or shape(path) in served or names_locale(path, served), f"{path} in {code}"


def shape(path: str) -> str:
    return re.sub(r"<[^>]+>", "<>", path).rstrip("/") or "/"


def names_locale(path: str, served: set[str]) -> bool:
    return re.sub(r"^/[a-z]{2}(-[A-Z]{2})?/", "/<>/", path) in served


@each_document
def test_every_environment_variable_is_read_somewhere(document: Path) -> None:
    known = known_variables() | {"FLASK_APP"}
    for code in code_of(document):
        if not re.fullmatch(r"(export )?[A-Z][A-Z0-9_]*(=.*)?", code):
            continue
        name = code.removeprefix("export ").partition("=")[0].strip()
        if "_" in name or "=" in code:
            assert name in known | MADE_UP, code


# Names that a document makes up for its own examples.
MADE_UP = {"TALLYSTICK", "KEY"}


@pytest.mark.parametrize("document", [*DOCUMENTS, ROOT / ".env.example"], ids=name_of)
def test_nothing_of_one_machine_has_crept_in(document: Path) -> None:
    text = document.read_text("utf-8")
    for place in PLACES_ON_MACHINES:
        assert place not in text, place
    for host in re.findall(r"https?://([\w.-]+)", text):
        assert host in HOSTS or host.endswith(".example.com") or host == "example.com" or host.isupper(), host
