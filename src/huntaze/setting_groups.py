"""Every variable of the fleet: one class a prefix, each field with what it means and an example."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from huntaze.pipelines.ai.deployments import plain_address
from huntaze.pipelines.trends.posts.identity import parse_keys
from huntaze.pipelines.webhooks.signing import Keyring
from huntaze.pipelines.webhooks.targets import TargetPolicy


def _starts_with(*schemes: str) -> Any:
    def check(value: SecretStr | str) -> SecretStr | str:
        plain = value.get_secret_value() if isinstance(value, SecretStr) else value
        if not plain.startswith(schemes):
            raise ValueError(f"must start with {' or '.join(schemes)}")
        return value

    return AfterValidator(check)


def _is_database_url(value: SecretStr) -> SecretStr:
    from sqlalchemy import make_url  # whoever has a database imports it anyhow
    from sqlalchemy.exc import ArgumentError

    try:
        make_url(value.get_secret_value())
    except (ArgumentError, ValueError):
        # Neither error may be repeated: a password with an @ or a : in it is taken for host or port.
        raise ValueError("is not a URL: the port has to be a number, a sign such as @ in a password %40") from None
    return value


def _are_author_keys(value: SecretStr) -> SecretStr:
    parse_keys(value.get_secret_value())
    return value


HttpUrl = Annotated[str, _starts_with("http://", "https://")]


class Group(BaseSettings):
    """One prefix of variables."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_file=".env", env_file_encoding="utf-8")


class DatabaseSettings(Group):
    model_config = SettingsConfigDict(env_prefix="HUNTAZE_DATABASE_")

    url: Annotated[
        SecretStr, _starts_with("postgresql+psycopg://", "postgresql://"), AfterValidator(_is_database_url)
    ] = Field(
        description="PostgreSQL 16 or newer, as a URL",
        examples=["postgresql://huntaze:secret@db.internal:5432/huntaze"],
    )
    pool_size: int = Field(
        5, ge=1, le=200, description="connections a process keeps; as many again in a rush", examples=[5]
    )

    @property
    def sqlalchemy_url(self) -> str:
        """The URL with the driver named, as SQLAlchemy wants it."""
        return self.url.get_secret_value().replace("postgresql://", "postgresql+psycopg://", 1)

    @property
    def libpq_url(self) -> str:
        """The URL without the driver, as psycopg wants it."""
        return self.url.get_secret_value().replace("postgresql+psycopg://", "postgresql://", 1)


class RedisSettings(Group):
    model_config = SettingsConfigDict(env_prefix="HUNTAZE_REDIS_")

    url: Annotated[SecretStr, _starts_with("redis://", "rediss://")] = Field(
        description="Redis 7 or Valkey 8 or newer: the broker", examples=["redis://:secret@redis.internal:6379/0"]
    )
    prefix: str = Field(
        "huntaze:", min_length=1, max_length=64, description="before every key of the fleet", examples=["huntaze:"]
    )


class S3Settings(Group):
    model_config = SettingsConfigDict(env_prefix="HUNTAZE_S3_")

    bucket: str = Field(
        min_length=3, max_length=63, description="the bucket of uploads and artifacts", examples=["huntaze-media"]
    )
    endpoint_url: HttpUrl | None = Field(
        None, description="of an S3-compatible store; unset for Amazon S3", examples=["https://s3.internal:9000"]
    )
    region: str = Field("us-east-1", description="the bucket's region", examples=["eu-west-3"])
    access_key_id: str | None = Field(
        None, description="unset: the instance's or task's role", examples=["AKIAIOSFODNN7EXAMPLE"]
    )
    secret_access_key: SecretStr | None = Field(
        None, description="goes with HUNTAZE_S3_ACCESS_KEY_ID", examples=["wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"]
    )


def _deployments_file(path: Path) -> Path:
    from huntaze.pipelines.ai.config import ConfigError, parse_config  # only who has such a file

    try:
        parse_config(path.read_text())
    except ConfigError as error:
        raise ValueError(f"{path}: " + f"\n    {path}: ".join(error.problems)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or 'no UTF-8'})") from None
    return path


class AISettings(Group):
    """One server for all roles by `base_url` and what goes with it, or any number by the file of `config`."""

    model_config = SettingsConfigDict(env_prefix="HUNTAZE_AI_")

    config: Annotated[Path, AfterValidator(_deployments_file)] | None = Field(
        None,
        description="a TOML file of deployments and roles, in place of the variables below; see docs/ai.md",
        examples=["/etc/huntaze/ai.toml"],
    )
    base_url: HttpUrl | None = Field(
        None,
        validate_default=True,
        description="an OpenAI-style server; /chat/completions is put behind it (required without HUNTAZE_AI_CONFIG)",
        examples=["https://my-resource.openai.azure.com/openai/v1"],
    )
    api_key: SecretStr | None = Field(
        None,
        description="of that server: sent as api-key, and as bearer where it is not Azure's",
        examples=["0123456789abcdef"],
    )
    model: str = Field("Phi-4-multimodal-instruct", description="model or deployment name", examples=["vision"])
    input_micro_usd_per_million: int = Field(
        80_000, ge=0, description="price of a million input tokens, in millionths of a dollar", examples=[80_000]
    )
    output_micro_usd_per_million: int = Field(
        320_000, ge=0, description="price of a million output tokens, in millionths of a dollar", examples=[320_000]
    )
    timeout_s: float = Field(120.0, gt=0, le=600, description="seconds for a whole call", examples=[120])

    @field_validator("base_url")
    @classmethod
    def _some_server(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and "config" in info.data and info.data["config"] is None:
            raise PydanticCustomError("missing", "is not set")
        return value if value is None else plain_address(value)


class ApiSettings(Group):
    model_config = SettingsConfigDict(env_prefix="HUNTAZE_API_")

    host: str = Field("127.0.0.1", description="address the API binds", examples=["10.0.0.5"])
    port: int = Field(8000, ge=1, le=65535, description="port the API binds", examples=[8000])
    max_upload_bytes: int = Field(
        5 * 1024**3,
        ge=1,
        le=5 * 1024**3,  # Amazon S3 takes no more in one PUT
        description="largest upload that gets a URL, in bytes",
        examples=[5_368_709_120],
    )


class WorkerSettings(Group):
    model_config = SettingsConfigDict(env_prefix="HUNTAZE_WORKER_")

    lease_s: float = Field(30.0, ge=1, le=600, description="seconds a silent worker keeps its job", examples=[30])
    grace_s: float = Field(
        25.0, ge=0, le=3600, description="seconds that running jobs get to finish at a stop", examples=[25]
    )
    queued_timeout_s: float = Field(
        60.0, ge=1, le=3600, description="seconds after which a queued job is sent again", examples=[60]
    )
    queue_depth: int = Field(
        2000, ge=1, le=100_000, description="most jobs of a queue that lie with the broker", examples=[2000]
    )
    log_level: str = Field(
        "INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="DEBUG, INFO, WARNING or ERROR", examples=["INFO"]
    )
    metrics_port: int = Field(
        0, ge=0, le=65535, description="port of /metrics of a worker, dispatcher or beat; 0: none", examples=[9101]
    )
    metrics_host: str = Field("127.0.0.1", description="address that /metrics binds", examples=["10.0.0.5"])


# Days that an Idempotency-Key is promised to be remembered: it stands in the job's row.
KEEP_DAYS = 7


class RetentionSettings(Group):
    model_config = SettingsConfigDict(env_prefix="HUNTAZE_RETENTION_")

    succeeded_days: int = Field(
        7, ge=KEEP_DAYS, le=3650, description="days that a job is kept after it succeeded; 7 or more", examples=[7]
    )
    cancelled_days: int = Field(
        7, ge=KEEP_DAYS, le=3650, description="days that a job is kept after it was cancelled; 7 or more", examples=[7]
    )
    failed_days: int = Field(
        30, ge=KEEP_DAYS, le=3650, description="days that a job is kept after it failed; 7 or more", examples=[30]
    )

    facts_months: int = Field(
        13, ge=1, le=120, description="whole months that raw facts are kept; figures stay", examples=[13]
    )
    calls_months: int = Field(
        13, ge=2, le=120, description="whole months that calls of models are kept; their sums stay", examples=[13]
    )
    events_days: int = Field(
        7, ge=1, le=3650, description="days that an event, and what webhooks made of it, is kept", examples=[7]
    )

    @property
    def shortest_days(self) -> int:
        """How long any job that ended is still known."""
        return min(self.succeeded_days, self.cancelled_days, self.failed_days)


class WebhookSettings(Group):
    model_config = SettingsConfigDict(env_prefix="HUNTAZE_WEBHOOKS_")

    key: SecretStr | None = Field(
        None,
        min_length=32,
        description="what endpoints' secrets are derived from; without it nobody can make an endpoint",
        examples=["a-long-random-text-that-openssl-rand-base64-32-made"],
    )
    previous_key: SecretStr | None = Field(
        None,
        min_length=32,
        description="the key before that, until all secrets are rotated",
        examples=["the-one-before-it-of-32-characters-or-more"],
    )
    ports: Annotated[str, Field(pattern=r"^\d{1,5}(,\d{1,5})*$")] = Field(
        "443,8443", description="ports that webhooks may go to", examples=["443,8443"]
    )
    insecure: bool = Field(
        False, description="for a machine of one's own: http, any port and private addresses too", examples=["false"]
    )

    @property
    def keys(self) -> Keyring | None:
        """The keys of the secrets; None where there is none."""
        if self.key is None:
            return None
        previous = None if self.previous_key is None else self.previous_key.get_secret_value().encode()
        return Keyring(self.key.get_secret_value().encode(), previous)

    @property
    def policy(self) -> TargetPolicy:
        """Where webhooks may go."""
        return TargetPolicy(frozenset(map(int, self.ports.split(","))), self.insecure)


class BillingSettings(Group):
    model_config = SettingsConfigDict(env_prefix="HUNTAZE_BILLING_")

    gateway: Literal["embedded", "stripe"] = Field(
        "embedded",
        description="who moves the money: stripe, or embedded (nobody: outcomes are made up)",
        examples=["stripe"],
    )
    stripe_api_key: SecretStr | None = Field(
        None,
        validate_default=True,
        description="Stripe's secret or restricted key, where the gateway is stripe",
        examples=["rk_live_0123456789"],
    )
    stripe_webhook_secret: SecretStr | None = Field(
        None,
        description="of the endpoint /v1/payment-webhooks/stripe; unset: it is closed",
        examples=["whsec_0123456789"],
    )
    stripe_base_url: HttpUrl = Field(
        "https://api.stripe.com", description="where Stripe's API is", examples=["https://api.stripe.com"]
    )
    timeout_s: float = Field(30.0, gt=0, le=120, description="seconds for a call of the gateway", examples=[30])
    batch: int = Field(200, ge=1, le=2000, description="subscriptions billed in one transaction", examples=[200])
    parts: int = Field(2, ge=1, le=64, description="jobs that bill side by side", examples=[2])
    most_periods: int = Field(
        3, ge=1, le=120, description="a subscription due for more periods waits for a person", examples=[3]
    )

    tax_rate: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="name of the tax rate of creators who subscribe for the first time; unset: none",
        examples=["VAT FR"],
    )

    @field_validator("stripe_api_key")
    @classmethod
    def _stripe_has_a_key(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if info.data.get("gateway") == "stripe" and value is None:
            raise ValueError("is needed where HUNTAZE_BILLING_GATEWAY is stripe")
        return value


class ApifySettings(Group):
    model_config = SettingsConfigDict(env_prefix="HUNTAZE_APIFY_")

    base_url: HttpUrl = Field(
        "https://api.apify.com", description="where Apify's API is", examples=["https://api.apify.com"]
    )
    token: SecretStr | None = Field(
        None, description="Apify's API token; unset: nothing is scraped", examples=["apify_api_0123456789abcdef"]
    )
    timeout_s: float = Field(30.0, gt=0, le=300, description="seconds for one answer of Apify", examples=[30])
    webhook_url: HttpUrl | None = Field(
        None,
        description="our API as Apify reaches it, for webhooks; unset: runs are polled alone",
        examples=["https://api.example.com"],
    )
    webhook_secret: SecretStr | None = Field(
        None,
        min_length=16,
        description="what the secrets in webhooks' URLs are made from; goes with HUNTAZE_APIFY_WEBHOOK_URL",
        examples=["0123456789abcdef0123456789abcdef"],
    )
    author_keys: Annotated[SecretStr, AfterValidator(_are_author_keys)] | None = Field(
        None,
        description="VERSION:HEX of the keys that authors are hashed with, comma-separated; the highest makes new ones",
        examples=["2:0f1e2d3c4b5a69788796a5b4c3d2e1f0,1:00112233445566778899aabbccddeeff"],
    )
    monthly_cap_micro_usd: int = Field(
        50_000_000,
        ge=0,
        description="most that scraping may cost in a month, in millionths of a dollar",
        examples=[50_000_000],
    )
    poll_s: float = Field(20.0, ge=0.1, le=600, description="seconds between two looks at a run", examples=[20])
    unclear_s: float = Field(
        60.0,
        ge=0,
        le=3600,
        description="seconds after an unclear start before the actor's runs are looked at",
        examples=[60],
    )
    raw_days: int = Field(7, ge=1, le=90, description="days that rows of datasets are kept", examples=[7])
    post_days: int = Field(
        90, ge=15, le=3650, description="days that posts are kept after they were made", examples=[90]
    )


class FlowerSettings(Group):
    model_config = SettingsConfigDict(env_prefix="HUNTAZE_FLOWER_")

    host: str = Field("127.0.0.1", description="address Flower binds", examples=["127.0.0.1"])
    port: int = Field(5555, ge=1, le=65535, description="port Flower binds", examples=[5555])
    user: str = Field("ops", description="name for Flower's login", examples=["ops"])
    password: SecretStr | None = Field(
        None,
        min_length=8,
        description="password for Flower's login; Flower does not start without",
        examples=["s3cret-s3cret"],
    )


class ClientSettings(Group):
    """For `huntaze enqueue`, which asks a fleet from outside; no process of a fleet reads these."""

    model_config = SettingsConfigDict(env_prefix="HUNTAZE_API_")

    url: str | None = Field(
        default=None, description="address of the API that `huntaze enqueue` uses", examples=["https://api.internal"]
    )
    key: SecretStr | None = Field(
        default=None,
        description="a creator's key for it, as `huntaze keys create` prints it",
        examples=["hz_0123abcd_secret"],
    )


class InvoiceSettings(Group):
    model_config = SettingsConfigDict(env_prefix="HUNTAZE_INVOICE_")

    seller_name: str = Field(
        "Huntaze", max_length=200, description="who sells, as invoices say", examples=["Huntaze SAS"]
    )
    seller_address: str = Field(
        "",
        max_length=1000,
        description="address, tax number and so on below it; lines separated by ;",
        examples=["12 rue des Archives; 75004 Paris; VAT FR 40 123 456 789"],
    )
