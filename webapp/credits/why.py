"""GET /credits/entries/<seq>: why an entry is there, as a split stick and as a record."""

from flask import abort, render_template
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from webapp import ledger
from webapp.account_words.explanation import explain
from webapp.reading import reader


@login_required
def show_entry(seq: int) -> ResponseReturnValue:
    """The explanation of the reader's own entry; 404 for any other."""
    try:
        session = reader()
        why = explain(session, account_id=current_user.account_id, seq=seq, own_actor=current_user.actor)
    except (ledger.EntryNotFound, ledger.InvalidRequest):
        abort(404)
    return render_template("credits/entry.html", why=why, e=why.entry)
