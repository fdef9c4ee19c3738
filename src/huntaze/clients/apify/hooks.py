"""The URL that a run's webhook goes to. Webhooks carry no signature: what is secret is the address."""

import hashlib
import hmac
import uuid

from huntaze.setting_groups import ApifySettings

PATH = "/v1/apify-webhooks"


def hook_token(settings: ApifySettings, run_id: uuid.UUID) -> str | None:
    """The secret part of one run's URL: whoever learns it can have that run looked at, no more. None: no webhooks."""
    if settings.webhook_secret is None:
        return None
    secret = settings.webhook_secret.get_secret_value().encode()
    return hmac.new(secret, f"apify:{run_id}".encode(), hashlib.sha256).hexdigest()[:40]


def hook_url(settings: ApifySettings, run_id: uuid.UUID) -> str | None:
    """Where the vendor tells of this run; None: it is only polled."""
    token = hook_token(settings, run_id)
    if token is None or settings.webhook_url is None:
        return None
    return f"{settings.webhook_url.rstrip('/')}{PATH}/{run_id}/{token}"


def is_token(settings: ApifySettings, run_id: uuid.UUID, given: str) -> bool:
    """Whether the URL is ours, in a time that tells nothing of it."""
    expected = hook_token(settings, run_id)
    return expected is not None and hmac.compare_digest(expected.encode(), given.encode(errors="replace"))
