"""The documents, and what they are made of."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("webapp/**/README.md"),
    ]
)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"^(?: {4}.*\n)+", re.MULTILINE)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block of code; `language` is empty where none is named."""

    language: str
    code: str


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


def blocks_of(document: Path) -> list[Block]:
    """The fenced blocks, in their order."""
    return [Block(language=language, code=code) for language, code in _FENCE.findall(document.read_text("utf-8"))]


def prose_of(document: Path) -> str:
    """The text without its fenced blocks."""
    return _FENCE.sub("", document.read_text("utf-8"))


def code_of(document: Path) -> list[str]:
    """Every piece of code: what stands in backticks, and each line of a block."""
    prose = prose_of(document)
    lines = [line for block in blocks_of(document) for line in block.code.splitlines()]
    lines += [line for block in _INDENTED.findall(prose) for line in block.splitlines()]
    return _INLINE.findall(_INDENTED.sub("", prose)) + [line.strip() for line in lines]


def links_of(document: Path) -> list[str]:
    return _LINK.findall(prose_of(document))


def anchors_of(document: Path) -> set[str]:
    """What a link to a heading may say after its #, as GitHub makes it."""
    headings = _HEADING.findall(prose_of(document))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
