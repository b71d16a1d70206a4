"""PostgreSQL and Redis for the first minute: real servers, from wheels, in the data directory.

Production installs without the extra `embedded` and names its own servers by DATABASE_URL and REDIS_URL.
Nothing here knows the rest of the application, except `run`, which starts all of it.
"""
