"""The environment, read once and checked: every setting of the hub is here.

A value that makes no sense stops the start with one sentence that names the
variable. What is safe together is judged in `checks.py`, not here.
"""

from __future__ import annotations

import ipaddress
import re
import sys
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Port = Annotated[int, Field(ge=0, le=65535)]
Names = Annotated[list[str], NoDecode]


# What OIDC_ROLES may give; `hub.people.roles` knows what each may do.
ROLES = ("administrator", "operator", "viewer")


class Env(BaseSettings):
    """What can be set from outside. `.env.example` says the same for people."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    debug: bool = False
    # Empty: one is made at the first start and kept in DATA_DIR.
    secret_key: str = ""
    data_dir: Path = Path("var")

    http_host: str = "127.0.0.1"
    http_port: Port = 8000
    allowed_hosts: Names = ["localhost", "127.0.0.1", "[::1]"]
    # Where people reach the hub, such as https://monitor.example.org; several
    # are parted by commas. Origins that forms and WebSockets accept.
    public_urls: Names = []
    # True when a proxy in front speaks TLS and sets X-Forwarded-Proto.
    behind_tls: bool = False

    grpc_host: str = "127.0.0.1"
    grpc_port: Port = 50051
    # What agents may present that are not enrolled; empty: those on this machine
    # need nothing, and others enrol.
    agent_token: str = ""
    # So many new machines an hour may come with it, a fifth of them from one address.
    agent_token_new_per_hour: Annotated[int, Field(ge=0)] = 500
    # auto: TLS beyond this machine, unless plain text is allowed there.
    grpc_tls: Literal["auto", "on", "off"] = "auto"
    grpc_allow_plaintext: bool = False
    # An own certificate, with its chain, and its key; PEM files. Empty: the hub makes
    # its own, whose fingerprint agents are given.
    grpc_tls_cert: Path | None = None
    grpc_tls_key: Path | None = None
    # required: each agent shows a certificate of its own as well.
    grpc_mtls: Literal["off", "required"] = "off"
    # Who signs those; empty: the hub itself, when an agent is enrolled.
    grpc_tls_client_ca: Path | None = None
    # With GRPC_MTLS=required agents enrol here; empty: GRPC_PORT + 1.
    grpc_enrol_port: Port | None = None
    # host:port that agents are told to call, where that is neither the host of
    # PUBLIC_URLS nor GRPC_PORT: a VPN's address, a published port.
    grpc_public_address: str = ""

    # Empty: SQLite in DATA_DIR. postgresql://user:password@host:port/name
    timescale_url: str = ""
    # Empty: hot state, events and commands stay in memory, in one process.
    redis_url: str = ""
    # SQLite serves one process well; beyond loopback that must be meant.
    allow_sqlite: bool = False

    # How long each tier is kept; a coarser one is kept longer.
    raw_retention_hours: Annotated[int, Field(ge=1, le=24 * 366)] = 24
    minute_retention_days: Annotated[int, Field(ge=1, le=3660)] = 7
    hour_retention_days: Annotated[int, Field(ge=1, le=36600)] = 90
    # Where expiring hours are kept as Parquet: a folder, or s3://bucket/prefix.
    archive_url: str = ""

    # What seals the secrets of contacts; empty: made from SECRET_KEY, or, without
    # that, at the first use and kept in DATA_DIR. Several are parted by commas: the
    # first one seals.
    notify_key: str = ""
    # Private networks that messages may reach, such as 10.1.2.0/24.
    notify_allow_private: Names = []
    # The mail server: smtp://user:password@host:587, or smtps:// for TLS at once.
    smtp_url: str = ""
    # Empty: sysmonstm@ and the host name of PUBLIC_URLS.
    mail_from: str = ""

    # Sign-in with OpenID Connect: the provider's address, such as
    # https://login.example.org/realms/home, and what it calls this hub.
    oidc_issuer: str = ""
    oidc_client_id: Annotated[str, Field(validate_default=True)] = ""
    oidc_client_secret: str = ""
    # What the button says.
    oidc_name: str = "OpenID Connect"
    # Where the provider names a person's groups, and the roles that they give here:
    # admins=administrator,night-shift=operator
    oidc_groups_claim: str = "groups"
    oidc_roles: Annotated[dict[str, str], NoDecode] = {}
    # Administrators sign in with a second factor, or set one up at the door.
    require_admin_2fa: bool = False
    audit_retention_days: Annotated[int, Field(ge=1, le=36600)] = 365

    # /metrics without a token, for a scraper in a network of one's own.
    metrics_public: bool = False

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "console"] = "json"

    @field_validator(
        "allowed_hosts", "public_urls", "notify_allow_private", mode="before"
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value

    @field_validator(
        "grpc_tls_cert",
        "grpc_tls_key",
        "grpc_tls_client_ca",
        "grpc_enrol_port",
        mode="before",
    )
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        # As a compose file gives it.
        return None if value == "" else value

    @field_validator("oidc_roles", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        parts = [part.split("=") for part in value.split(",") if part.strip()]
        if any(len(part) != 2 or part[1].strip() not in ROLES for part in parts):
            raise ValueError(f"it must look like admins={ROLES[0]},crew={ROLES[1]}")
        return {group.strip(): role.strip() for group, role in parts}

    @field_validator("oidc_client_id")
    @classmethod
    def _is_known(cls, value: str, others: ValidationInfo) -> str:
        if others.data.get("oidc_issuer") and not value:
            raise ValueError("OIDC_ISSUER does not know the hub without it")
        return value

    @field_validator("oidc_issuer")
    @classmethod
    def _is_web(cls, value: str) -> str:
        # Whoever listens on the way to the provider could say who signs in.
        parts = urlsplit(value)
        is_near = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if value and not (
            parts.scheme == "https" or (parts.scheme == "http" and is_near)
        ):
            raise ValueError("it must look like https://login.example.org/realms/home")
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("grpc_public_address")
    @classmethod
    def _is_host_and_port(cls, value: str) -> str:
        if value and not re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[\w.-]+):\d{1,5}", value):
            raise ValueError("it must look like monitor.example.org:50051")
        return value

    @field_validator("timescale_url")
    @classmethod
    def _is_postgres(cls, value: str) -> str:
        if value and not value.startswith(("postgresql://", "postgres://")):
            raise ValueError("it must look like postgresql://user:password@host/name")
        return value

    @field_validator("archive_url")
    @classmethod
    def _is_folder_or_bucket(cls, value: str) -> str:
        if value and not value.startswith(("/", "s3://")):
            raise ValueError("it must be a folder's whole path, or s3://bucket/prefix")
        return value

    @field_validator("hour_retention_days")
    @classmethod
    def _is_longest(cls, days: int, others: ValidationInfo) -> int:
        raw_hours = others.data.get("raw_retention_hours", 0)
        minute_days = others.data.get("minute_retention_days", 0)
        if raw_hours > 24 * minute_days or minute_days > days:
            raise ValueError(
                "raw samples must not be kept longer than minutes "
                "(MINUTE_RETENTION_DAYS), nor minutes longer than hours"
            )
        return days

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: str) -> str:
        if value and not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("it must look like redis://host:6379/0")
        return value

    @field_validator("notify_allow_private")
    @classmethod
    def _are_networks(cls, value: list[str]) -> list[str]:
        for text in value:
            try:
                ipaddress.ip_network(text, strict=False)
            except ValueError:
                raise ValueError(f"{text} is not a network like 10.1.2.0/24") from None
        return value

    @field_validator("smtp_url")
    @classmethod
    def _is_smtp(cls, value: str) -> str:
        if value and not value.startswith(("smtp://", "smtps://")):
            raise ValueError("it must look like smtp://user:password@host:587")
        return value


def read() -> Env:
    """Return the checked environment, or end the process with a sentence."""
    try:
        return Env()
    except ValidationError as refused:
        for error in refused.errors():
            name = "_".join(str(part) for part in error["loc"]).upper()
            print(f"sysmonstm: {name}: {_sentence(error['msg'])}", file=sys.stderr)  # noqa: T201 - logging is not set up yet
        raise SystemExit(2) from None


def _sentence(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return f"{text[:1].upper()}{text[1:]}."
