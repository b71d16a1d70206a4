"""What is wrong with a translation: placeholders, tags, plural forms, edges. Nothing here reads a file."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from babel.messages.catalog import Catalog, Message

_PLACEHOLDER = re.compile(r"%(?:\((\w+)\)([sd])|([sd%]))")
_TAG = re.compile(r"</?[a-zA-Z][^>]*>")
_TAG_NAME = re.compile(r"</?(\w+)")
_ALONE = {"br", "wbr", "hr", "img", "input"}
# No key of a keyboard writes these; what is not seen can turn the rest of a line around or end a file.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
_SPELT_IN_PLURALS = {"num", "number", "amount", "credits", "count"}


# kind → what a command or the log says. The pages say it in the reader's language (webapp/admin/fault_words.py).
KINDS = {
    "plurals": "plural forms that do not fit",
    "placeholders": "placeholders %(found)s, or a lone %%",
    "tags": "tags %(found)s, or a lone <",
    "unseen": "the unseen character %(found)s",
    "edge": "a space at an edge",
    "length": "more than %(most)s characters",
    "bytes": "%(found)s bytes; at most %(most)s are taken",
    "texts": "%(found)s texts; at most %(most)s are taken",
    "utf8": "the file is not UTF-8",
    "charset": "the header says charset=%(found)s; only UTF-8 is taken",
    "language": "the header says Language: %(found)s; %(wanted)s is expected",
    "syntax": "this is no catalog: %(found)s",
}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault of one translation, or of a file. `line` is its place in the .po, where it came from one.

    One that `breaks` would fail a page or put markup into it; others only look wrong. `kind` is a key of KINDS.
    """

    kind: str
    source: str = ""
    line: int | None = None
    found: str = ""
    most: str = ""
    wanted: str = ""

    @property
    def breaks(self) -> bool:
        return self.kind != "edge"

    @property
    def what(self) -> str:
        return KINDS[self.kind] % {"found": self.found or "missing", "most": self.most, "wanted": self.wanted}

    def __str__(self) -> str:
        return f"{self.what} in the translation of {self.source!r}" if self.source else self.what


def faults_of(catalog: Catalog, *, formatted: bool) -> list[Fault]:
    """Every fault of a catalog, in its order. Texts of a `formatted` domain are format strings with markup."""
    return [fault for message in translated(catalog) for fault in faults_of_message(message, catalog, formatted)]


def translated(catalog: Catalog) -> Iterable[Message]:
    """The messages that have a translation, the header left out."""
    return (message for message in catalog if message.id and any(forms_of(message)))


def faults_of_message(message: Message, catalog: Catalog, formatted: bool) -> list[Fault]:
    """The faults of one translation: each whole form of a plural counts."""

    def fault(kind: str, found: Iterable[str] = ()) -> Fault:
        return Fault(kind=kind, source=source_of(message), line=message.lineno, found=", ".join(found))

    found = []
    forms = forms_of(message)
    if isinstance(message.id, tuple) and len(forms) != catalog.num_plurals:
        found.append(fault("plurals"))
    for form in filter(None, forms):
        if formatted and not _placeholders_fit(message, form):
            found.append(fault("placeholders", _shown_placeholders(form)))
        if formatted and not _tags_fit(message, form):
            found.append(fault("tags", _TAG.findall(form)))
        if formatted and _quote_is_new(message, form):
            found.append(fault("tags", ['"']))
        if _UNSEEN.search(form) and not _UNSEEN.search("".join(_ids(message))):
            found.append(fault("unseen", [f"U+{ord(_UNSEEN.findall(form)[0]):04X}"]))
        if form != form.strip() and source_of(message) == source_of(message).strip():
            found.append(fault("edge"))
    return found


def _placeholders_fit(message: Message, form: str) -> bool:
    """Each named one of the source, and no other; a plural form may leave out the number that it spells."""
    singular, plural = _ids(message)[0], _ids(message)[-1]
    wanted = _names(singular) | _names(plural)
    has = _names(form)
    spelt = _SPELT_IN_PLURALS if isinstance(message.id, tuple) else set()
    if not _names(plural) - _names(singular) <= spelt:  # only the singular is what texts are found by
        return False
    if not has <= wanted or not wanted - has <= spelt or not _kinds(form) <= _kinds(singular) | _kinds(plural):
        return False
    if _unnamed(form) not in (_unnamed(singular), _unnamed(plural)):
        return False
    return not _lone_percent(form) or _lone_percent(source_of(message))


def _lone_percent(form: str) -> bool:
    return "%" in _PLACEHOLDER.sub("", form)


def _names(form: str) -> set[str]:
    return {name for name, _kind, _alone in _PLACEHOLDER.findall(form) if name}


def _kinds(form: str) -> set[tuple[str, str]]:
    """(name, how it is written): what is a number in the source may be written as text, not the other way round."""
    found = {(name, kind) for name, kind, _alone in _PLACEHOLDER.findall(form) if name}
    return found | {(name, "s") for name, _kind in found}


def _unnamed(form: str) -> Counter[str]:
    return Counter(alone for _name, _kind, alone in _PLACEHOLDER.findall(form) if alone in ("s", "d"))


def _shown_placeholders(form: str) -> list[str]:
    return sorted({name or alone for name, _kind, alone in _PLACEHOLDER.findall(form) if alone != "%"})


def _tags_fit(message: Message, form: str) -> bool:
    """The very tags of the source, closed in order, and no other `<`: a translation is put into pages as markup."""
    tags, sources = _TAG.findall(form), [_TAG.findall(source) for source in _ids(message)]
    if Counter(tags) != Counter(sources[0]) or Counter(sources[0]) != Counter(sources[-1]):
        return False
    if _closed_in_order(sources[0]) and not _closed_in_order(tags):
        return False
    return "<" not in _TAG.sub("", form) or "<" in _TAG.sub("", source_of(message))


def _closed_in_order(tags: list[str]) -> bool:
    open_tags: list[str] = []
    for tag in tags:
        name = str(_TAG_NAME.findall(tag)[0]).lower()
        if tag.startswith("</"):
            if not open_tags or open_tags.pop() != name:
                return False
        elif name not in _ALONE and not tag.endswith("/>"):
            open_tags.append(name)
    return not open_tags


def _quote_is_new(message: Message, form: str) -> bool:
    """A straight quote that the source lacks: a translation in an attribute would end it, and begin another."""
    return '"' in _TAG.sub("", form) and '"' not in _TAG.sub("", source_of(message))


def forms_of(message: Message) -> list[str]:
    """The translation; as many as there are plural forms for a plural."""
    return list(message.string) if isinstance(message.string, (tuple, list)) else [message.string or ""]


def source_of(message: Message) -> str:
    """The English text, of a plural the singular."""
    return _ids(message)[0]


def _ids(message: Message) -> tuple[str, ...]:
    return tuple(message.id) if isinstance(message.id, (tuple, list)) else (message.id,)
