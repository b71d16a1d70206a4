"""Opening balances: a CSV file of accounts and grants, checked whole and then booked, each grant once.

`check_file` reads it into a `Sheet` and says everything that is wrong with it; `compare` says what the ledger has of
it already; `book` writes one chunk. Nothing here commits.
"""

from webapp.ledger.opening.booking import ACTOR, Tally, book, compare, trial_balance
from webapp.ledger.opening.columns import COLUMNS
from webapp.ledger.opening.line import Line
from webapp.ledger.opening.reading import Rules, check_file
from webapp.ledger.opening.sheet import Chunk, Problem, Sheet

__all__ = [
    "ACTOR",
    "COLUMNS",
    "Chunk",
    "Line",
    "Problem",
    "Rules",
    "Sheet",
    "Tally",
    "book",
    "check_file",
    "compare",
    "trial_balance",
]
