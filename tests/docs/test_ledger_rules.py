"""Each rule of docs/ledger-rules.md names the tests that hold it, and they exist."""

import ast
import re

from tests.docs.pages import ROOT

RULES = ROOT / "docs/ledger-rules.md"
_ROW = re.compile(r"^\| (?!---|rule|invariant)(.+?) \| (.+?) \|$", re.MULTILINE)


def rows() -> list[tuple[str, list[str]]]:
    return [(rule, re.findall(r"`(test_\w+)`", held)) for rule, held in _ROW.findall(RULES.read_text("utf-8"))]


def names_of_tests() -> set[str]:
    return {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }


def test_every_rule_of_the_ledger_is_held_by_tests_that_exist() -> None:
    found = rows()
    assert len(found) >= 75
    assert [rule for rule, tests in found if not tests] == []
    known = names_of_tests()
    assert {name for _, tests in found for name in tests if name not in known} == set()


def test_all_rules_and_invariants_are_listed() -> None:
    rules = [rule for rule, _ in rows()]
    numbers = [int(found[1]) for rule in rules if (found := re.match(r"(\d+)\. ", rule))]
    semantics, invariants = numbers[:-12], numbers[-12:]
    assert sorted(set(semantics)) == list(range(1, 12))
    assert invariants == list(range(1, 13))
