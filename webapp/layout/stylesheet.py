"""The stylesheet as browsers of 2022 read it: files joined, nesting unfolded, and the hue of the brand at the end.

The files of static/css are written with nested rules and ranges of widths (`@media (width < 44rem)`), which browsers
know since 2023. One that does not know them would drop the rules and show a page in ruins, so what is served has each
rule by itself. Nothing is installed for it: the grammar that our own files use is small.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from webapp.layout.palette import COPPER, palette

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_RANGE = re.compile(r"\(\s*width\s*(<|>=)\s*([\d.]+)rem\s*\)")
_CONDITIONS = ("@media", "@supports", "@layer")
_COMBINATORS = re.compile(r"[\s>+~]")


@dataclass
class _Block:
    """`prelude { children }`; a child that is a string is a declaration or a statement without a block."""

    prelude: str
    children: list["str | _Block"] = field(default_factory=list)


def join(sources: Iterable[str], *, hue: int) -> str:
    """One stylesheet of these, in their order, with the tints of `hue`."""
    tints = [] if hue % 360 == COPPER else [_tints(hue)]
    return "\n".join(flatten(source) for source in [*sources, *tints])


def flatten(source: str) -> str:
    """`source` without comments, nested rules and ranges of widths. Raises ValueError where a brace is missing."""
    root, end = _parse(_COMMENT.sub("", source), 0, "")
    if end != -1:
        raise ValueError("the stylesheet has a closing brace too many")
    return "\n".join(_flat(root.children, None))


def _tints(hue: int) -> str:
    tokens = "".join(
        f"--{name}: var(--light, {light}) var(--dark, {dark});" for name, (light, dark) in palette(hue).items()
    )
    return f"@layer tokens {{ :root, [data-theme] {{ {tokens} }} }}"


def _parse(text: str, start: int, prelude: str) -> tuple[_Block, int]:
    """The block that begins at `start`, and where it ends; -1 for the end of the text."""
    block = _Block(prelude)
    begin = place = start
    while place < len(text):
        character = text[place]
        if character in "\"'":
            place = text.index(character, place + 1)
        elif character == "(":
            place = _closing(text, place)
        elif character == "{":
            child, place = _parse(text, place + 1, " ".join(text[begin:place].split()))
            if place == -1:
                raise ValueError(f"{child.prelude!r} is not closed")
            block.children.append(child)
            begin = place + 1
        elif character in ";}":
            if statement := " ".join(text[begin:place].split()):
                block.children.append(statement)
            begin = place + 1
            if character == "}":
                return block, place
        place += 1
    return block, -1


def _closing(text: str, place: int) -> int:
    depth = 0
    for at in range(place, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if not depth:
            return at
    raise ValueError("a parenthesis is not closed")


def _flat(children: "list[str | _Block]", selector: str | None) -> Iterator[str]:
    """The children as rules of their own, in their order, below `selector`."""
    declarations: list[str] = []
    for child in children:
        if isinstance(child, str):
            declarations.append(child)
            continue
        yield from _rule(declarations, selector)
        declarations = []
        if child.prelude.startswith(_CONDITIONS):
            inside = "\n".join(_flat(child.children, selector))
            yield f"{_RANGE.sub(_without_range, child.prelude)}{{{inside}}}"
        elif child.prelude.startswith("@"):
            yield f"{child.prelude}{{{''.join(_flat_frames(child))}}}"
        else:
            yield from _flat(child.children, _nested(child.prelude, selector))
    yield from _rule(declarations, selector)


def _flat_frames(block: _Block) -> Iterator[str]:
    for child in block.children:
        yield f"{child};" if isinstance(child, str) else f"{child.prelude}{{{';'.join(map(str, child.children))}}}"


def _rule(declarations: list[str], selector: str | None) -> Iterator[str]:
    if not declarations:
        return
    if selector is None:
        yield from (f"{statement};" for statement in declarations)
    else:
        # A custom property with nothing but a space for its value is a value; its space must stay.
        yield selector + "{" + ";".join(re.sub(r"^(--[\w-]+):$", r"\1: ", line) for line in declarations) + "}"


def _nested(prelude: str, parent: str | None) -> str:
    if parent is None:
        return prelude
    whole = f":is({parent})" if len(_parts(parent)) > 1 else parent
    safe = f":is({parent})" if _COMBINATORS.search(parent) else whole
    return ",".join(
        (part.replace("&", whole) if part.startswith("&") else part.replace("&", safe))
        if "&" in part
        else f"{whole} {part}"
        for part in _parts(prelude)
    )


def _parts(selector: str) -> list[str]:
    """The selectors of a list; commas within parentheses do not part them."""
    parts, depth = [""], 0
    for character in selector:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _without_range(match: re.Match[str]) -> str:
    """The next smaller width than the limit is less than a pixel below it."""
    operator, width = match.groups()
    return f"(min-width:{width}rem)" if operator == ">=" else f"(max-width:{float(width) - 0.001:g}rem)"
