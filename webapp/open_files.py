"""How many files a process may have open, and so how many connections."""

import resource

# Connections of open tabs, to PostgreSQL and Redis, and all else.
WANTED = 10_000


def allow_many() -> None:
    """As many as are wanted, or as the system allows: what a login shell gives is often 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
