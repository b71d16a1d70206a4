"""Where in a rate card's file something stands, for who is told what is wrong with it."""

import re

_ERROR = re.compile(r"\(at line ([0-9]+), column [0-9]+\)")
_HEADING = re.compile(r"""\s*\[\s*features\s*\.\s*["']?([^"'\]\s]+)["']?\s*\]""")


def line_of(content: str, *, where: str, says: str = "") -> int | None:
    """The number of the line that a finding is about, as well as can be told without reading the file anew.

    `where` is `features.image.tiers[0].credits`; `says` may tell the line, as the reader of TOML does.
    """
    if told := _ERROR.search(says):
        return int(told[1])
    parts = re.split(r"[.\[]", where)
    lines = content.splitlines()
    if parts[0] != "features" or len(parts) < 2:
        return next((number for number, line in enumerate(lines, 1) if _begins(line, parts[0])), None)
    heading = next((number for number, line in enumerate(lines, 1) if _heads(line, parts[1])), None)
    if heading is None or len(parts) < 3:
        return heading
    for number, line in enumerate(lines[heading:], heading + 1):
        if line.lstrip().startswith("[features"):
            break
        if _begins(line, parts[2]):
            return number
    return heading


def _heads(line: str, feature: str) -> bool:
    found = _HEADING.match(line)
    return found is not None and found[1] == feature


def _begins(line: str, word: str) -> bool:
    return re.match(rf"\s*[\[\"']*{re.escape(word)}[\]\"']*\s*(=|\.|$)", line) is not None
