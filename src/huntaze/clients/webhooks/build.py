"""What a handler needs to send webhooks, from the settings."""

from dataclasses import dataclass

from huntaze.clients.webhooks.outbound import HttpOutbound, Outbound, ScriptedOutbound
from huntaze.pipelines.webhooks.signing import Keyring
from huntaze.pipelines.webhooks.targets import TargetPolicy
from huntaze.setting_groups import WebhookSettings


@dataclass(frozen=True)
class Webhooks:
    """`keys`: None where the fleet has none, and nothing can be signed."""

    outbound: Outbound
    policy: TargetPolicy
    keys: Keyring | None


def build_webhooks(settings: WebhookSettings) -> Webhooks:
    """Opens no connection yet."""
    return Webhooks(HttpOutbound(settings.policy), settings.policy, settings.keys)


def scripted_webhooks() -> Webhooks:
    """The twin, which sends nothing: for handlers that have no webhooks to send."""
    return Webhooks(ScriptedOutbound(), TargetPolicy(), Keyring(b"key of a twin"))
