"""`python -m webapp.stripe_sandbox` serves the sandbox on PORT + 1."""

import signal
import sys
from types import FrameType

import psycopg
from werkzeug.serving import WSGIRequestHandler, make_server

from webapp.stripe_sandbox.environment import BadEnvironment, build, read_environment


class QuietHandler(WSGIRequestHandler):
    """Logs no line for each request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        return


def main() -> int:
    try:
        environment = read_environment()
        app = build(environment)
        server = make_server(environment.host, environment.port, app, threaded=True, request_handler=QuietHandler)
    except BadEnvironment as error:
        sys.stderr.write(f"The Stripe sandbox cannot start: {error}\n")
        return 2
    except psycopg.Error as error:
        sys.stderr.write(f"The Stripe sandbox cannot use its database: {error}\n")
        return 1

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    sys.stdout.write(f"Stripe sandbox on {environment.base_url}, events to {environment.webhook_url}\n")
    sys.stdout.flush()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
        app.extensions["stripe_sandbox"].stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
