"""Django's settings, made from the environment (`env.py`) alone."""

from __future__ import annotations

import secrets
import socket
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from csp.constants import NONCE, NONE, SELF

from hub import env as environment
from hub import log

BASE_DIR = Path(__file__).resolve().parent.parent
ENV = environment.read()

DATA_DIR = (BASE_DIR / ENV.data_dir).resolve()


def _prepare_data_dir() -> None:
    try:
        DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = DATA_DIR / f".probe-{secrets.token_hex(4)}"
        probe.touch()
        probe.unlink()
    except OSError as refused:
        sys.exit(
            f"sysmonstm: DATA_DIR: cannot write to {DATA_DIR} ({refused.strerror}). "
            "Choose another folder with DATA_DIR=… or change its permissions."
        )


def _kept_secret_key() -> str:
    """Make a key at the first start; sessions survive the next one."""
    path = DATA_DIR / "secret_key"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(50))
    return path.read_text().strip()


if not (ENV.secret_key and ENV.timescale_url):
    _prepare_data_dir()

DEBUG = ENV.debug
SECRET_KEY = ENV.secret_key or _kept_secret_key()
ALLOWED_HOSTS = ENV.allowed_hosts
CSRF_TRUSTED_ORIGINS = ENV.public_urls
PUBLIC_URLS = ENV.public_urls

HTTP_HOST, HTTP_PORT = ENV.http_host, ENV.http_port
GRPC_HOST, GRPC_PORT = ENV.grpc_host, ENV.grpc_port
GRPC_PUBLIC_ADDRESS = ENV.grpc_public_address
AGENT_TOKEN = ENV.agent_token
AGENT_TOKEN_NEW_PER_HOUR = ENV.agent_token_new_per_hour
GRPC_ALLOW_PLAINTEXT = ENV.grpc_allow_plaintext
GRPC_TLS, GRPC_MTLS = ENV.grpc_tls, ENV.grpc_mtls
GRPC_TLS_CERT, GRPC_TLS_KEY = ENV.grpc_tls_cert, ENV.grpc_tls_key
GRPC_TLS_CLIENT_CA = ENV.grpc_tls_client_ca
GRPC_ENROL_PORT = ENV.grpc_enrol_port or (GRPC_PORT and GRPC_PORT + 1)
# A proxy stands in front: who seems to be on this machine may be anybody.
BEHIND_TLS = ENV.behind_tls
ALLOW_SQLITE = ENV.allow_sqlite
REDIS_URL = ENV.redis_url
METRICS_PUBLIC = ENV.metrics_public
RAW_RETENTION = timedelta(hours=ENV.raw_retention_hours)
# A key from the environment is the same for every process; one in DATA_DIR serves
# the processes of one machine.
NOTIFY_KEY = ENV.notify_key or (ENV.secret_key and f"notify:{ENV.secret_key}")
NOTIFY_ALLOW_PRIVATE = ENV.notify_allow_private
SMTP_URL, MAIL_FROM = ENV.smtp_url, ENV.mail_from
MINUTE_RETENTION = timedelta(days=ENV.minute_retention_days)
HOUR_RETENTION = timedelta(days=ENV.hour_retention_days)
ARCHIVE_URL = ENV.archive_url

INSTALLED_APPS = [
    "hub.web.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "servestatic",
    "django.contrib.staticfiles",
    "channels",
    "csp",
    "django_htmx",
    "ninja",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.mfa",
    "hub",
    "hub.people",
    "hub.machines",
    "hub.storage",
    "hub.ingest",
    "hub.alerts",
    "hub.control",
    "hub.live",
    "hub.rpc",
    "hub.web",
    "hub.api",
    "hub.health",
    "hub.embedded",
]

MIDDLEWARE = [
    "hub.api.middleware.errors_as_json",
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "hub.people.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "hub.people.middleware.PolicyMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "csp.middleware.CSPMiddleware",
    # Its library for OpenID Connect asks here which request it is about.
    "allauth.account.middleware.AccountMiddleware",
]

ROOT_URLCONF = "hub.urls"
ASGI_APPLICATION = "hub.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "hub.checks.warnings",
            ],
        },
    }
]

# A statement that takes longer than this is a fault, not patience: sooner where
# people wait (hub.asgi) than where a night's work is done.
STATEMENT_TIMEOUT_S = 15
PAGE_STATEMENT_TIMEOUT_S = 5
# How long a thread waits for a connection.
POOL_S = 5


def _postgres(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "timescale.db.backends.postgresql",
        "NAME": unquote(parts.path.removeprefix("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        # ?host=/socket/folder, as libpq writes a Unix socket in a URL.
        "HOST": query.pop("host", parts.hostname or ""),
        "PORT": query.pop("port", str(parts.port or "")),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "connect_timeout": 5,
            # A server that vanished without a word is noticed within half a minute,
            # whether we wait for it or it for us.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 25_000,
            "options": f"-c statement_timeout={STATEMENT_TIMEOUT_S * 1000}",
            # Its pauses between attempts double for as long as they may go on; given
            # up soon, they begin anew with the next who asks.
            "pool": {
                "min_size": 0,
                "max_size": 16,
                "timeout": POOL_S,
                "reconnect_timeout": POOL_S,
            },
            **query,
        },
    }


def _sqlite() -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA_DIR / "sysmonstm.sqlite3",
        "OPTIONS": {
            "timeout": 5,
            # Upgrading a read lock fails at once under WAL; asking for the
            # write lock first waits its turn.
            "transaction_mode": "IMMEDIATE",
            # FULL: an acknowledged sample survives a power cut.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        },
        "TEST": {"NAME": DATA_DIR / "test.sqlite3"},
    }


DATABASES = {
    "default": _postgres(ENV.timescale_url) if ENV.timescale_url else _sqlite()
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Between processes, for questions to agents. Each call has a deadline of its own
# (hub.control.post); these keep a connection to a Redis that is gone from being
# waited on for ever, and the layer from giving up memberships after a day.
CHANNEL_LAYERS: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "hosts": [
                {
                    "address": REDIS_URL,
                    "socket_connect_timeout": 2,
                    "socket_timeout": 2,
                    "socket_keepalive": True,
                    # A listener that hears nothing asks; unanswered, it connects anew.
                    "socket_keepalive_options": {socket.TCP_USER_TIMEOUT: 10_000}
                    if hasattr(socket, "TCP_USER_TIMEOUT")
                    else {},
                    "health_check_interval": 5,
                }
            ],
            # Who can write to Redis alone can neither ask agents nor answer for them.
            "symmetric_encryption_keys": [f"channels:{SECRET_KEY}"],
        },
    }
    if REDIS_URL
    else {
        "BACKEND": "channels.layers.InMemoryChannelLayer",
        "CONFIG": {"group_expiry": 100 * 365 * 24 * 3600},
    }
}

CELERY_BROKER_URL = REDIS_URL
# Without a broker a task runs where it is called; `up` calls them on time.
CELERY_TASK_ALWAYS_EAGER = not REDIS_URL

# The first one seals new passwords; those of the others are sealed anew when their
# people sign in.
PASSWORD_HASHERS = [
    f"django.contrib.auth.hashers.{name}"
    for name in ("Argon2PasswordHasher", "PBKDF2PasswordHasher")
]
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "hub.people.backend.Administrators",
]
REQUIRE_ADMIN_2FA = ENV.require_admin_2fa
AUDIT_RETENTION = timedelta(days=ENV.audit_retention_days)

OIDC_ISSUER, OIDC_NAME = ENV.oidc_issuer, ENV.oidc_name
OIDC_GROUPS_CLAIM, OIDC_ROLES = ENV.oidc_groups_claim, ENV.oidc_roles
SOCIALACCOUNT_ADAPTER = "hub.people.oidc.Adapter"
SOCIALACCOUNT_LOGIN_ON_GET = True
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": "oidc",
                "name": OIDC_NAME,
                "client_id": ENV.oidc_client_id,
                "secret": ENV.oidc_client_secret,
                "settings": {"server_url": OIDC_ISSUER.rstrip("/")},
            }
        ]
        if OIDC_ISSUER
        else [],
    }
}
MFA_ADAPTER = "hub.people.second.Adapter"
MFA_TOTP_ISSUER = "sysmonstm"
# A clock that is half a minute off still fits.
MFA_TOTP_TOLERANCE = 1
MFA_RECOVERY_CODE_DIGITS = 10
# allauth's own account pages do not exist here; e-mail addresses are an administrator's
# to set.
ACCOUNT_EMAIL_VERIFICATION = "none"

LOGIN_URL = "web:sign_in"
LOGIN_REDIRECT_URL = "web:overview"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# Browsers share cookies between the ports of a host: the name is our own.
SESSION_ENGINE = "hub.people.session_store"
SESSION_COOKIE_NAME = "sysmonstm_session"
CSRF_COOKIE_NAME = "sysmonstm_csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = ENV.behind_tls
CSRF_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"
if ENV.behind_tls:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    # Health checks come from inside, without the proxy.
    SECURE_REDIRECT_EXEMPT = [r"^health$", r"^ready$"]
    SECURE_HSTS_SECONDS = 365 * 24 * 3600

# A hub speaks for its own host name, not for its sibling domains or for a
# browser's preload list.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = BASE_DIR / "staticfiles"
# An image has its files collected, hashed and compressed; a checkout serves
# them as they are.
_collected = (STATIC_ROOT / "staticfiles.json").exists()
SERVESTATIC_USE_FINDERS = SERVESTATIC_AUTOREFRESH = not _collected
# Without a hash in its name a file is asked for again: never pages of one
# version with scripts of another.
SERVESTATIC_MAX_AGE = 0
SERVESTATIC_ALLOW_ALL_ORIGINS = False
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "servestatic.storage.CompressedManifestStaticFilesStorage"
        if _collected or "collectstatic" in sys.argv
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

NINJA_PAGINATION_PER_PAGE = 100

LOGGING = log.configure(level=ENV.log_level, fmt=ENV.log_format)
