"""A connection for what must happen at the sandbox whole or not at all, over many requests."""

import psycopg


class OneTransaction(psycopg.Connection):
    """Commits nothing until `commit_all`: whoever else looks at the sandbox meanwhile sees none of it."""

    def commit(self) -> None:
        pass

    def commit_all(self) -> None:
        super().commit()
