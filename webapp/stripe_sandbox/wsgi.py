"""The application of the environment, for any WSGI server: `webapp.stripe_sandbox.wsgi:app`."""

from webapp.stripe_sandbox.environment import build, read_environment

app = build(read_environment())
