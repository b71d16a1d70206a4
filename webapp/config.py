"""Typed settings from the environment. Whatever is unsafe or half set is refused here, before anything starts."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import quote
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from babel import Locale, UnknownLocaleError
from babel.numbers import is_currency

SANDBOX_STRIPE_KEY = "sk_test_sandbox"
SANDBOX_WEBHOOK_SECRET = "whsec_sandbox"  # noqa: S105 - public on purpose: it protects play money only
SANDBOX_SECRET_KEY = "sandbox-only-not-a-secret"  # noqa: S105
SANDBOX_SEAL_KEY = "sandbox-only-not-a-seal"

STRIPE_HOST = "api.stripe.com"
_NEED_HOST = ("http", "https", "smtp", "smtps")

OUR_NAME = "Tallystick"
COPPER_HUE = 53  # of OKLCH, in degrees
LOGO_FORMATS = (".svg", ".png", ".webp")
MOST_LOGO_BYTES = 100_000

SHIPPED_LOCALES = ("en", "de", "fr", "es", "pt-BR", "ja", "ar")
SHIPPED_CURRENCIES = ("EUR", "USD", "GBP", "JPY")


class UnsafeSettings(Exception):
    """The environment is unsafe or half set; `problems` holds one sentence for each thing to mend."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("Tallystick refuses to start:\n" + "\n".join(f"  - {problem}" for problem in problems))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that the environment decides; see `.env.example` for what each of them means."""

    data_dir: Path
    database_url: str | None
    database_owner_url: str | None
    redis_url: str | None
    secret_key: str = field(repr=False)
    base_url: str
    trusted_hosts: tuple[str, ...]
    stripe_secret_key: str = field(repr=False)
    stripe_webhook_secret: str = field(repr=False)
    stripe_api_base: str | None
    sandbox: bool
    ledger_seal_key: str = field(repr=False)
    mail_url: str | None = field(repr=False)
    mail_from: str
    brand_name: str
    brand_logo: Path | None
    brand_hue: int
    currencies: tuple[str, ...]
    locales: tuple[str, ...]
    default_locale: str
    port: int
    sign_up_credits: int
    sign_up_credits_days: int | None
    catch_up: str
    proxies: int
    metrics_token: str | None = field(repr=False)
    stripe_tax: bool
    account_rate_per_minute: int
    portal_return_origins: tuple[str, ...] = ()
    embed_origins: tuple[str, ...] = ()
    maintenance: bool
    approval_credits: int = 0
    approval_minor: int = 0
    support_grant_limit: int = 500

    @property
    def secure_cookies(self) -> bool:
        return self.base_url.startswith("https://")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """The settings that `environ` (default: the process's) describes.

        Raises UnsafeSettings with every problem at once; nothing was started or written then.
        """
        return _Reader(os.environ if environ is None else environ).settings()


class _Reader:
    """Reads variables, collecting what is wrong instead of stopping at the first."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.problems: list[str] = []

    def text(self, name: str, default: str | None = None) -> str | None:
        value = self.environ.get(name, "").strip()
        return value or default

    def number(self, name: str, default: int, *, low: int, high: int) -> int:
        raw = self.text(name)
        if raw is None:
            return default
        if not re.fullmatch(r"[0-9]{1,15}", raw) or not low <= int(raw) <= high:
            self.problems.append(f"{name} must be a whole number from {low} to {high}, not {raw!r}.")
            return default
        return int(raw)

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of `choices`; the first when nothing is said."""
        value = self.text(name, choices[0]) or ""
        if value not in choices:
            self.problems.append(f"{name} must be {' or '.join(choices)}, not {value!r}.")
            return choices[0]
        return value

    def words(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        raw = self.text(name)
        return default if raw is None else tuple(word.strip() for word in raw.split(",") if word.strip())

    def url(self, name: str, schemes: tuple[str, ...], default: str | None = None) -> str | None:
        raw = self.text(name, default)
        if raw is None:
            return None
        parts = _split(raw)
        if parts is None or parts.scheme not in schemes:
            self.problems.append(f"{name} must be a URL that starts with {' or '.join(s + '://' for s in schemes)}.")
            return default
        if parts.scheme in _NEED_HOST and not _names_host(parts):
            self.problems.append(f"{name} must name a host, and its port must be a number.")
            return default
        return raw

    def settings(self) -> Settings:
        port = self.number("PORT", 8000, low=1, high=65534)
        base_url = (self.url("BASE_URL", ("http", "https")) or f"http://localhost:{port}").rstrip("/")
        stripe_key = self.text("STRIPE_SECRET_KEY")
        sandbox = stripe_key is None
        brand_name = self._brand_name()
        settings = Settings(
            data_dir=Path(self.text("DATA_DIR", "instance") or "instance").resolve(),
            database_url=self.url("DATABASE_URL", ("postgresql", "postgres")),
            database_owner_url=self.url("DATABASE_OWNER_URL", ("postgresql", "postgres")),
            redis_url=self.url("REDIS_URL", ("redis", "rediss", "unix")),
            secret_key=self.text("SECRET_KEY", SANDBOX_SECRET_KEY) or "",
            base_url=base_url,
            trusted_hosts=self._trusted_hosts(base_url),
            stripe_secret_key=stripe_key or SANDBOX_STRIPE_KEY,
            stripe_webhook_secret=self.text("STRIPE_WEBHOOK_SECRET", SANDBOX_WEBHOOK_SECRET if sandbox else None) or "",
            stripe_api_base=self.url(
                "STRIPE_API_BASE", ("http", "https"), f"http://127.0.0.1:{port + 1}" if sandbox else None
            ),
            sandbox=sandbox,
            ledger_seal_key=self.text("LEDGER_SEAL_KEY", SANDBOX_SEAL_KEY) or "",
            mail_url=self.url("MAIL_URL", ("smtp", "smtps")),
            mail_from=self.text("MAIL_FROM", _default_sender(brand_name)) or "",
            brand_name=brand_name,
            brand_logo=self._brand_logo(),
            brand_hue=self.number("BRAND_HUE", COPPER_HUE, low=0, high=360),
            currencies=self._currencies(),
            locales=self._locales(),
            default_locale=self.text("DEFAULT_LOCALE", "en") or "en",
            port=port,
            sign_up_credits=self.number("SIGN_UP_CREDITS", 100, low=0, high=10**9),
            sign_up_credits_days=self.number("SIGN_UP_CREDITS_DAYS", 30, low=0, high=36_500) or None,
            catch_up=self.choice("CATCH_UP", ("all", "latest")),
            proxies=self.number("PROXIES", 0, low=0, high=5),
            metrics_token=self.text("METRICS_TOKEN"),
            stripe_tax=self.number("STRIPE_TAX", 0, low=0, high=1) == 1,
            account_rate_per_minute=self.number("ACCOUNT_RATE_PER_MINUTE", 0, low=0, high=10**9),
            portal_return_origins=self._origins("PORTAL_RETURN_ORIGINS"),
            embed_origins=self._origins("EMBED_ORIGINS"),
            maintenance=self.number("MAINTENANCE", 0, low=0, high=1) == 1,
            approval_credits=self.number("APPROVAL_CREDITS", 0, low=0, high=10**15),
            approval_minor=self.number("APPROVAL_MINOR", 0, low=0, high=10**12),
            support_grant_limit=self.number("SUPPORT_GRANT_LIMIT", 500, low=0, high=10**15),
        )
        self._refuse_unsafe(settings)
        if self.problems:
            raise UnsafeSettings(self.problems)
        return settings

    def _trusted_hosts(self, base_url: str) -> tuple[str, ...]:
        host = urlsplit(base_url).hostname or "localhost"
        default = ("localhost", "127.0.0.1", "[::1]") if host in ("localhost", "127.0.0.1") else (host,)
        hosts = self.words("TRUSTED_HOSTS", default)
        if not hosts:
            self.problems.append("TRUSTED_HOSTS names no host.")
        return hosts

    def _brand_name(self) -> str:
        name = self.text("BRAND_NAME", OUR_NAME) or OUR_NAME
        if len(name) > 60 or not name.isprintable():
            self.problems.append("BRAND_NAME must be one line of at most 60 characters.")
        return name

    def _brand_logo(self) -> Path | None:
        raw = self.text("BRAND_LOGO")
        if raw is None:
            return None
        path = Path(raw).resolve()
        try:
            size = path.stat().st_size
        except (OSError, ValueError):
            self.problems.append(f"BRAND_LOGO names no file that can be read: {raw!r}.")
            return None
        if path.suffix.lower() not in LOGO_FORMATS or not path.is_file() or size > MOST_LOGO_BYTES:
            formats = ", ".join(LOGO_FORMATS)
            self.problems.append(f"BRAND_LOGO must be a file of at most {MOST_LOGO_BYTES} bytes in {formats}.")
            return None
        return path

    def _origins(self, name: str) -> tuple[str, ...]:
        """Scheme and host (and port) of other sites, as browsers write an origin."""
        found = []
        for word in self.words(name, ()):
            origin = origin_of(word)
            if origin is None or word.rstrip("/").lower() != origin:
                self.problems.append(f"{name} holds {word!r}; an origin such as https://app.example.com is expected.")
            else:
                found.append(origin)
        return tuple(dict.fromkeys(found))

    def _currencies(self) -> tuple[str, ...]:
        currencies = tuple(code.upper() for code in self.words("CURRENCIES", SHIPPED_CURRENCIES))
        for code in currencies:
            if not is_currency(code):
                self.problems.append(f"CURRENCIES holds {code!r}; ISO 4217 codes such as EUR are expected.")
        return currencies

    def _locales(self) -> tuple[str, ...]:
        locales = self.words("LOCALES", SHIPPED_LOCALES)
        for tag in locales:
            if not _is_locale(tag):
                self.problems.append(f"LOCALES holds {tag!r}; BCP 47 tags such as de or pt-BR are expected.")
        return locales

    def _refuse_unsafe(self, settings: Settings) -> None:
        problem = self.problems.append
        if settings.default_locale not in settings.locales:
            problem(f"DEFAULT_LOCALE {settings.default_locale!r} is not one of LOCALES.")
        if not settings.currencies:
            problem("CURRENCIES names no currency.")
        if settings.metrics_token is not None and len(settings.metrics_token) < 16:
            problem("METRICS_TOKEN must have at least 16 characters.")
        if settings.database_owner_url and not settings.database_url:
            problem("DATABASE_OWNER_URL is set without DATABASE_URL; set both or neither.")
        if settings.sandbox:
            if settings.stripe_api_base and urlsplit(settings.stripe_api_base).hostname == STRIPE_HOST:
                problem("STRIPE_API_BASE is Stripe itself, but STRIPE_SECRET_KEY is not set.")
            return
        self._refuse_unsafe_with_stripe(settings)

    def _refuse_unsafe_with_stripe(self, settings: Settings) -> None:
        """Outside sandbox mode no default secret may stand, and live money needs the real Stripe."""
        problem = self.problems.append
        key = settings.stripe_secret_key
        live = key.startswith(("sk_live_", "rk_live_"))
        if not re.match(r"(sk|rk)_(live|test)_", key):
            problem("STRIPE_SECRET_KEY must start with sk_live_, rk_live_, sk_test_ or rk_test_.")
        if live and settings.stripe_api_base and not _is_stripe(settings.stripe_api_base):
            problem("STRIPE_SECRET_KEY is a live key, but STRIPE_API_BASE is not Stripe: unset STRIPE_API_BASE.")
        if not settings.stripe_webhook_secret.startswith("whsec_"):
            problem("STRIPE_WEBHOOK_SECRET must be set to the endpoint's whsec_… beside a STRIPE_SECRET_KEY.")
        elif settings.stripe_webhook_secret == SANDBOX_WEBHOOK_SECRET:
            problem("STRIPE_WEBHOOK_SECRET is the sandbox's own; set the endpoint's.")
        if settings.secret_key == SANDBOX_SECRET_KEY or len(settings.secret_key) < 32:
            problem("SECRET_KEY must be set to at least 32 random characters outside sandbox mode.")
        # Several keys may be named while one replaces another; a weak one among them would be one too many.
        seal_keys = [key.strip() for key in settings.ledger_seal_key.split(",")]
        if live and (SANDBOX_SEAL_KEY in seal_keys or min(map(len, seal_keys)) < 32):
            problem("LEDGER_SEAL_KEY must be set to at least 32 random characters beside a live Stripe key.")
        if live and not settings.base_url.startswith("https://"):
            problem("BASE_URL must be https:// beside a live Stripe key.")
        if live and not settings.database_url:
            problem("DATABASE_URL must be set beside a live Stripe key; the embedded server is for trying out.")


def _default_sender(brand_name: str) -> str:
    name = brand_name if brand_name == OUR_NAME else f'"{quote(brand_name)}"'
    return f"{name} <credits@example.com>"


def origin_of(url: str) -> str | None:
    """The origin of an http or https URL as browsers write it; None for what has none."""
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not _names_host(parts):
        return None
    if not re.fullmatch(r"[a-z0-9.\-\[\]:]+", parts.hostname or ""):
        return None  # no wildcards, and nothing that would be read as something else in a header
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    default = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in (None, default) else "")


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:  # such as http://[
        return None


def _names_host(parts: SplitResult) -> bool:
    try:
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        return False


def _is_stripe(url: str) -> bool:
    """Stripe itself, over TLS; `url` has passed `_Reader.url`."""
    parts = urlsplit(url)
    return parts.scheme == "https" and parts.hostname == STRIPE_HOST and parts.port in (None, 443)


def _is_locale(tag: str) -> bool:
    """A BCP 47 tag in its usual case whose formats Babel knows."""
    if not re.fullmatch(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?", tag):
        return False
    try:
        Locale.parse(tag, sep="-")
    except (UnknownLocaleError, ValueError):
        return False
    return True
