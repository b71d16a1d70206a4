"""`<number:…>` in a path: an id as PostgreSQL's bigint holds it, written in one way; anything else is no page."""

from werkzeug.routing import IntegerConverter, Map

_MOST = 2**63 - 1


class Number(IntegerConverter):
    """1 to 2^63 − 1, without a sign and without zeros before it."""

    regex = "[1-9][0-9]{0,18}"

    def __init__(self, map: Map) -> None:
        super().__init__(map, min=1, max=_MOST)
