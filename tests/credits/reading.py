"""How much memory it takes to read a history and ten times as long a one, in a process that does nothing else.

As a program, `python -m tests.credits.reading`: the environment is the application's, and its last line is JSON, by
path the bytes for the short history and for the long one.
"""

import json
import os
import tracemalloc

from tests.credits.member import Member
from webapp import create_app, ledger
from webapp.config import Settings
from webapp.credits import export, personal_data
from webapp.database import unit_of_work

PATHS = ("/credits/history.csv", "/credits/history.json", "/settings/data.json")


def main() -> None:
    export.CHUNK = personal_data.CHUNK = 50
    member = Member(create_app(Settings.from_environment(dict(os.environ))))
    member.grant(10**9)
    spend_often(member, 150)
    short = {path: peak_of(member, path) for path in PATHS}
    for _ in range(3):
        spend_often(member, 450)
    print(json.dumps({path: (short[path], peak_of(member, path)) for path in PATHS}))


def spend_often(member: Member, times: int) -> None:
    with member.app.app_context(), unit_of_work() as session:
        before = ledger.balance(session, account_id=member.account_id).seq
        ledger.spend_many(
            session,
            items=[
                ledger.SpendItem(
                    account_id=member.account_id,
                    amount=1,
                    idempotency_key=f"often:{before + number}",
                    actor="api:test",
                    description="something of some length to be written out again and again",
                )
                for number in range(times)
            ],
        )


def peak_of(member: Member, path: str) -> int:
    """The most that was allocated at once while the answer was read piece by piece and dropped."""
    for _ in range(3):  # what is loaded, compiled and prepared once, and kept
        assert member.download(path).status_code == 200
    tracemalloc.start()
    try:
        with member.client.get(path, environ_overrides={"REMOTE_ADDR": member.ip}) as response:
            assert response.status_code == 200
            assert sum(len(piece) for piece in response.iter_encoded()) > 10_000
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


if __name__ == "__main__":
    main()
