"""The house's rules about itself: what may import what, and what domain code must not do."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[1]
DOMAIN = ("ledger", "catalog", "billing", "people", "usage")
EDGES = {"request", "current_user", "unit_of_work", "gettext", "ngettext", "_"}
PAGES = ("_page", "_pages", "webhook", "mails")  # edges: they read requests, or put words before people
EFFECTS = {"commit", "rollback", "enqueue"}
MOST_LINES = 400


def modules(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, inside of functions too."""
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_dependencies_point_one_way(capsys: pytest.CaptureFixture[str]) -> None:
    broken = lint_imports(str(ROOT / "pyproject.toml"), no_cache=True, no_logo=True)
    assert not broken, capsys.readouterr().out


def test_the_ledger_imports_nothing_of_ours_but_itself() -> None:
    for path in modules("webapp/ledger"):
        ours = {name for name in imports_of(path) if name.split(".")[0] in ("webapp", "jobs")}
        assert all(name.startswith("webapp.ledger") for name in ours), (path, ours)


def test_only_billing_imports_stripe() -> None:
    for path in modules("webapp", "jobs", "bench"):
        if path.is_relative_to(ROOT / "webapp" / "billing"):
            continue
        assert not any(name.split(".")[0] == "stripe" for name in imports_of(path)), path


def test_the_embedded_servers_know_nothing_of_the_application_but_its_settings() -> None:
    """`run.py` is the exception: it starts everything."""
    for path in modules("webapp/embedded"):
        if path.name == "run.py":
            continue
        ours = {name for name in imports_of(path) if name.startswith("webapp.")}
        assert all(name.startswith(("webapp.embedded", "webapp.config")) for name in ours), (path, ours)


def test_domain_functions_never_commit_translate_enqueue_or_ask_who_is_there() -> None:
    """A domain function is one that takes the session first: what else it needs comes as arguments."""
    for path in modules(*(f"webapp/{area}" for area in DOMAIN)):
        if path.stem.endswith(PAGES) or path.parent.name == "views":
            continue
        for node in ast.walk(tree_of(path)):
            if not isinstance(node, ast.FunctionDef) or not node.args.args or node.args.args[0].arg != "session":
                continue
            arguments = {one.arg for one in (*node.args.args, *node.args.kwonlyargs)}
            names = {
                inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load)
            } - arguments
            calls = {
                inner.func.attr
                for inner in ast.walk(node)
                if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute)
            }
            assert not names & EDGES, (path, node.name, names & EDGES)
            assert not calls & EFFECTS, (path, node.name, calls & EFFECTS)


def test_nothing_but_the_unit_of_work_commits() -> None:
    for path in modules("webapp", "jobs"):
        if path == ROOT / "webapp" / "database.py" or path.is_relative_to(ROOT / "webapp" / "stripe_sandbox"):
            continue
        assert not re.search(r"\.commit\(", path.read_text(encoding="utf-8")), path


def test_no_error_is_swallowed_unnamed() -> None:
    for path in modules("webapp", "jobs"):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ExceptHandler):
                too_wide = node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception")
                silent = all(isinstance(line, ast.Pass) for line in node.body)
                assert not (too_wide and silent), (path, node.lineno)


def test_templates_have_no_inline_style_and_no_inline_script() -> None:
    """The content security policy refuses both; a page that has them looks right only without it.

    Mails are no pages: programs that read them know little else than a style in each element.
    """
    pages = [path for path in sorted((ROOT / "templates").rglob("*.html")) if path.parent.name != "mail"]
    for path in pages:
        text = path.read_text(encoding="utf-8")
        found = re.search(r"<style\b|\sstyle\s*=|<script\b(?![^>]*\bsrc=)|\son[a-z]+\s*=\s*[\"']|javascript:", text)
        assert found is None, (path, found)


def test_no_file_is_longer_than_anyone_reads() -> None:
    for path in modules("webapp", "jobs", "bench"):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= MOST_LINES, (path, lines)


def test_no_file_is_named_after_nothing() -> None:
    for path in modules("webapp", "jobs", "bench"):
        assert path.stem not in ("service", "services", "utils", "util", "helpers", "helper", "misc", "common"), path
