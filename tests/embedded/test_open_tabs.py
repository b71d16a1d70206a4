"""A thousand tabs, each of which keeps its connection, leave room for everybody else."""

import socket
from contextlib import ExitStack

from tests.instance import Instance
from webapp.open_files import allow_many

TABS = 1_200


def test_more_connections_than_a_thousand_tabs_keep_are_all_answered(instance: Instance) -> None:
    allow_many()
    request = f"GET /healthz HTTP/1.1\r\nHost: localhost:{instance.port}\r\n\r\n".encode()
    with ExitStack() as stack:
        for _ in range(TABS):
            tab = stack.enter_context(socket.create_connection(("localhost", instance.port), timeout=20))
            tab.sendall(request)
            assert tab.recv(12) == b"HTTP/1.1 200"
