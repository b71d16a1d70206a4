"""The fixtures that every test stands on."""

import psycopg
import redis as redis_py
from psycopg import sql


def test_the_applications_role_is_not_the_owner(servers):
    with psycopg.connect(servers.database_url) as app, psycopg.connect(servers.owner_url) as owner:
        assert app.execute("SELECT current_user").fetchone() == ("tallystick_app",)
        assert owner.execute("SELECT current_user").fetchone() == ("tallystick_owner",)
        owns = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
        assert owner.execute(owns).fetchone() == ("tallystick_owner",)


def test_a_fresh_database_shares_nothing_with_the_workers_own(servers, fresh_database):
    assert fresh_database.database != servers.database
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE TABLE only_here ()"))
    with psycopg.connect(servers.owner_url) as owner:
        assert owner.execute("SELECT to_regclass('only_here')").fetchone() == (None,)


def test_a_fresh_database_comes_with_an_empty_redis(fresh_database, redis):
    assert redis.dbsize() == 0
    assert (
        redis_py.Redis.from_url(fresh_database.redis_url).connection_pool.connection_kwargs["db"]
        == (redis.connection_pool.connection_kwargs["db"])
    )
