"""Settings: from a flag, else the environment, else `.env`, else a TOML file, else the default.

The names in the environment and in `.env` are `TIMEBANK_` and the setting's name in capitals. The
TOML file is `timebank.toml` in the working directory, or the one that `config` names. Secrets are
never shown: not by `shown`, not by `repr`, not in the error that refuses one.
"""

import os
import re
import tomllib
from contextvars import ContextVar
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import (
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from ledger.addresses import Allowed

PREFIX = "TIMEBANK_"
TOML_FILE = Path("timebank.toml")
MASK = "********"
WORK = ("views", "jobs", "webhooks")
"""What is done beside answering requests: reading on for the views, what is due, deliveries."""

TokenAlgorithm = Literal["RS256", "PS256", "ES256", "ES384", "Ed25519", "EdDSA"]
"""What may sign a token (RFC 7518, 9864): signatures alone, no shared secret and not `none`."""


class BadSettings(Exception):
    """A setting is malformed or unknown; says which one, where it was given, and what is wrong."""


class Shown(NamedTuple):
    """A setting as `config show` prints it."""

    name: str
    value: str | int | bool | None  # a secret that is set is `********`
    source: str  # "flag", "TIMEBANK_PORT", ".env", the TOML file's path, "default"


class Settings(BaseSettings):
    """All that can be set. `Settings.load` reads it; the order above decides."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_ignore_empty=True,
        dotenv_filtering="match_prefix",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=False,
    )

    config: Path | None = None
    database_url: Annotated[str, Field(repr=False)] = "sqlite:///timebank.db"
    ledger: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")] = "main"
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080  # 0: any that is free
    public_url: Annotated[
        str | None, Field(pattern=r"^https?://[^\s/?#]+(/[^\s?#]*[^\s/?#])?$")
    ] = None  # where the world finds us: it stands in papers
    keys_file: Path = Path("timebank-keys.json")
    signing_key: SecretStr | None = None  # base64 of the 32 bytes of an Ed25519 key (RFC 8032)
    vault_key: SecretStr | None = None  # base64 of 32 bytes
    checkpoint_file: Path | None = None  # every checkpoint is appended to it
    checkpoint_seconds: Annotated[int, Field(ge=0, le=86_400)] = 60  # 0: none of its own accord
    log_origin: Annotated[str, Field(pattern=r"^[^\s+]{1,200}$")] | None = None
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    work: Annotated[str, Field(pattern=rf"^(none|({'|'.join(WORK)})(,({'|'.join(WORK)}))*)$")] = (
        ",".join(WORK)
    )  # what this process does beside answering requests
    jobs_every_minutes: Annotated[int, Field(ge=0, le=1_440)] = 60  # while serving; 0: none run
    webhook_allow: str = ""  # receivers that need not be public: HOST[:PORT] or a network, commas
    webhook_give_up_hours: Annotated[int, Field(ge=1, le=8_760)] = 72  # in vain, then a dead letter
    metrics_open: bool = False  # answer /metrics to others than the loopback too
    traces_endpoint: Annotated[str | None, Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")] = (
        None  # of an OTLP/HTTP collector; none: no traces
    )
    metrics_port: Annotated[int, Field(ge=1, le=65_535)] | None = None  # of `timebank work`
    body_bytes_max: Annotated[int, Field(gt=0)] = 16 * 1024 * 1024
    body_seconds: Annotated[int, Field(ge=1, le=3_600)] = 120  # that a body may take to arrive
    idle_seconds: Annotated[int, Field(ge=1, le=3_600)] = 75  # for a request's head, or between two
    key_requests_per_minute: Annotated[int, Field(ge=0)] = 600_000  # of one key; 0: no limit
    key_requests_at_once: Annotated[int, Field(ge=0)] = 1_000  # of one key, under way; 0: no limit
    oidc_issuer: str | None = None  # whose access tokens are taken, as they spell it in `iss`
    oidc_audience: Annotated[str, Field(min_length=1)] | None = None  # what `aud` must hold
    oidc_algorithm: TokenAlgorithm = "RS256"  # the one that signs them, whatever they say
    oidc_jwks_url: str | None = None  # of the issuer's keys; default: as the issuer publishes it
    oidc_jwks_file: Path | None = None  # instead of fetching them

    _given: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def load(cls, **flags: Any) -> Self:
        """The settings as they are now, or BadSettings; a flag that is None was not given."""
        try:
            return cls(**{name: value for name, value in flags.items() if value is not None})
        except ValidationError as refused:
            given = _given.get()
            raise BadSettings(
                "; ".join(
                    _complaint(str((*error["loc"], error["type"])[0]), given, error["msg"])
                    for error in refused.errors(include_input=False, include_url=False)
                )
            ) from None

    @property
    def address(self) -> str:
        """Where the world finds us, as far as the settings tell."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"http://{host}:{self.port}"

    @property
    def works(self) -> frozenset[str]:
        """The parts of WORK that this process does."""
        return frozenset(self.work.split(",")) - {"none"}

    def shown(self) -> list[Shown]:
        """Every setting, its value with secrets masked, and where it comes from."""
        return [
            Shown(name, _masked(getattr(self, name)), self._given.get(name, "default"))
            for name in type(self).model_fields
        ]

    @field_validator("database_url")
    @classmethod
    def _names_a_database(cls, value: str) -> str:
        # What SQLAlchemy says of a URL may quote its password.
        try:
            url, further = _read_url(value)
        except (ArgumentError, ValueError):
            raise ValueError("is not a database URL") from None
        if url.get_backend_name() not in ("sqlite", "postgresql"):
            raise ValueError("is neither sqlite:///FILE nor postgresql://...")
        if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
            raise ValueError("names no file: a ledger on SQLite is a file")
        if further and url.get_backend_name() != "postgresql":
            raise ValueError("names several hosts: only postgresql://... has such")
        return value

    @field_validator("oidc_issuer", "oidc_jwks_url")
    @classmethod
    def _is_https(cls, value: str | None) -> str | None:
        if value is not None and not is_fetched_safely(value):
            raise ValueError("is no https:// address (http:// is for the loopback)")
        return value

    @model_validator(mode="after")
    def _tokens_are_told_in_full(self) -> Self:
        if self.oidc_issuer is not None and self.oidc_audience is None:
            raise PydanticCustomError("oidc_audience", "is needed where oidc_issuer is set")
        if self.oidc_issuer is None:
            for name in ("oidc_audience", "oidc_jwks_url", "oidc_jwks_file"):
                if getattr(self, name) is not None:
                    raise PydanticCustomError("oidc_issuer", f"is needed where {name} is set")
        if self.oidc_jwks_url is not None and self.oidc_jwks_file is not None:
            raise PydanticCustomError("oidc_jwks_file", "stands beside oidc_jwks_url: one of two")
        return self

    @field_validator("webhook_allow")
    @classmethod
    def _names_receivers(cls, value: str) -> str:
        Allowed.parse(value)
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The order of the module's first sentence; the last one gives nothing and takes notes."""
        toml = _TomlFile(settings_cls)
        return init_settings, env_settings, dotenv_settings, toml, _Notes(settings_cls)

    def model_post_init(self, context: object, /) -> None:
        """Keep the notes of where each value came from."""
        self._given = _given.get()


def is_fetched_safely(url: str) -> bool:
    """Is it an https address, or an http address of this machine; no user, no fragment in it?"""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not host or "@" in parts.netloc or "#" in url or not url.isascii() or " " in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def unread_environment() -> list[str]:
    """The names in the environment that look like settings and are none: typing errors, mostly."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    return sorted(
        name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known
    )


_given: ContextVar[dict[str, str]] = ContextVar("where each setting was given")


class _Silent(PydanticBaseSettingsSource):
    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False  # the whole is read at once, by calling


class _TomlFile(_Silent):
    """`timebank.toml`, or the file that a stronger source calls `config`."""

    def __call__(self) -> dict[str, Any]:
        named = self.current_state.get("config")
        path = Path(named) if named else TOML_FILE
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            if named:
                raise BadSettings(f"config: there is no file {path}") from None
            return {}
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as broken:
            raise BadSettings(f"{path} is not TOML: {broken}") from None


class _Notes(_Silent):
    """Comes last, sees what each source gave, and notes for each setting the strongest."""

    def __call__(self) -> dict[str, Any]:
        toml = str(self.current_state.get("config") or TOML_FILE)
        given: dict[str, str] = {}
        for source, values in self.settings_sources_data.items():
            for name in values:
                given.setdefault(name, _source(source, name, toml))
        _given.set(given)
        return {}


def _source(source: str, name: str, toml: str) -> str:
    match source:
        case "InitSettingsSource":
            return "flag"
        case "EnvSettingsSource":
            return PREFIX + name.upper()
        case "DotEnvSettingsSource":
            return ".env"
        case _:
            return toml


def _complaint(name: str, given: dict[str, str], said: str) -> str:
    reason = said.removeprefix("Value error, ")
    if reason == "Extra inputs are not permitted":
        reason = "there is no such setting"
    return f"{name} ({given.get(name, 'default')}): {reason}"


def _masked(value: object) -> str | int | bool | None:
    match value:
        case SecretStr():
            return MASK
        case str() if "://" in value:
            try:
                return _masked_url(*_read_url(value))
            except (ArgumentError, ValueError):
                return MASK
        case Path():
            return str(value)
        case str() | int() | None:
            return value
        case _:
            raise TypeError(f"a setting of type {type(value).__name__} has no form to be shown in")


def _masked_url(url: URL, further: str) -> str:
    secret = {"password", "sslpassword"} & url.query.keys()
    url = url.update_query_dict(dict.fromkeys(sorted(secret), "***"))
    shown = url.render_as_string(hide_password=True)
    end_of_host = _END_OF_HOST.search(shown, shown.index("://") + len("://"))
    at = len(shown) if end_of_host is None else end_of_host.start()
    return f"{shown[:at]}{further}{shown[at:]}"


def _read_url(value: str) -> tuple[URL, str]:
    """An address with its first host, and as a text the further ones, which only libpq knows.

    ArgumentError or ValueError where it is none.
    """
    several = _SEVERAL_HOSTS.fullmatch(value)
    if several is None:
        return make_url(value), ""
    for host in several["further"][1:].split(","):
        make_url(f"postgresql://{host}")
    return make_url(several["before"] + several["after"]), several["further"]


_SEVERAL_HOSTS = re.compile(
    r"(?P<before>[a-z+]+://([^/?@]*@)?[^/?@,]+)(?P<further>(,[^/?@,]+)+)(?P<after>([/?].*)?)"
)
_END_OF_HOST = re.compile(r"[/?]")
