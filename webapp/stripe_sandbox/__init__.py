"""A stateful double of the part of Stripe's API that credits are sold through. See README.md."""

from webapp.stripe_sandbox.app import create_sandbox
from webapp.stripe_sandbox.install import install

__all__ = ["create_sandbox", "install"]
