"""What the newcomer reads when everything runs."""

from webapp.config import Settings
from webapp.embedded.programs import runs_sandbox


def banner(settings: Settings, *, seconds: float) -> str:
    """Address, demo logins, key, sandbox and data, as text; the demo's lines in sandbox mode only."""
    rows = [("Tallystick runs at", settings.base_url)]
    if settings.sandbox:
        rows += [
            ("Sign in as", "ada@, free@, lifetime@ or admin@example.com"),
            ("Password", "tallystick-demo"),
            ("API key", f"tsk_sandbox_demo   see {settings.base_url}/api/docs"),
        ]
    if runs_sandbox(settings):
        rows.append(("Stripe sandbox", f"{settings.stripe_api_base}/_sandbox/   no real money moves"))
    rows.append(("Data", str(settings.data_dir)))
    lines = [f"  {name:<22}{value}" for name, value in rows]
    ending = f"  Ready after {seconds:.1f} s. Ctrl-C stops all of it; the data stays."
    return "\n".join(["", *lines, "", ending, ""])
