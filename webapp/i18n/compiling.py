"""From a .po, which a translator writes, to the .mo that is read outside sandbox mode."""

from io import BytesIO
from pathlib import Path

from babel.messages.mofile import write_mo

from webapp.i18n.checking import read_locale
from webapp.i18n.files import mo_path, write_whole


def compile_locale(name: str, domain: str) -> Path:
    """The .mo beside the .po is what the .po says, fuzzy texts left out. Check it before."""
    buffer = BytesIO()
    write_mo(buffer, read_locale(name, domain))
    write_whole(mo_path(name, domain), buffer.getvalue())
    return mo_path(name, domain)
