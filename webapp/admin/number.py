"""Ids in paths: `<number:…>` is one that PostgreSQL's bigint holds, `<job:…>` one of RQ's; anything else is no page."""

from werkzeug.routing import BaseConverter, IntegerConverter, Map

_MOST = 2**63 - 1


class Number(IntegerConverter):
    """1 to 2^63 − 1, without a sign and without zeros before it."""

    regex = "[1-9][0-9]{0,18}"

    def __init__(self, map: Map) -> None:
        super().__init__(map, min=1, max=_MOST)


class JobId(BaseConverter):
    """What RQ takes as the id of a job; it raises for anything else."""

    regex = "[A-Za-z0-9_-]{1,200}"
