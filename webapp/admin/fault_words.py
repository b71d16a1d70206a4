"""What is wrong with a catalog, in the reader's language."""

from flask_babel import gettext as _

from webapp.i18n.faults import Fault


def say(fault: Fault) -> str:
    """One sentence: the fault, without its line and source."""
    found = fault.found or _("none")
    words: dict[str, str] = {
        "plurals": _("This language has another number of plural forms."),
        "placeholders": _(
            "The placeholders must be those of the source, and %%%% stands for a percent sign; found: %(found)s",
            found=found,
        ),
        "tags": _("The tags must be those of the source, and there may be no other “<”; found: %(found)s", found=found),
        "unseen": _("It holds a character that nobody sees: %(found)s", found=found),
        "edge": _("It begins or ends with a space that the source does not have."),
        "length": _("It is longer than %(most)s characters.", most=fault.most),
        "bytes": _("The file has %(found)s bytes; at most %(most)s are taken.", found=found, most=fault.most),
        "texts": _("The file has %(found)s texts; at most %(most)s are taken.", found=found, most=fault.most),
        "utf8": _("The file is not UTF-8. Save it as UTF-8."),
        "charset": _("Its header says charset=%(found)s; only UTF-8 is taken.", found=found),
        "language": _(
            "Its header says that its language is %(found)s; %(wanted)s is expected here.",
            found=found,
            wanted=fault.wanted,
        ),
        "syntax": _("This is not a .po file (%(found)s).", found=found),
    }
    return words[fault.kind]
