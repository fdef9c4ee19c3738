"""From settings to clients: called once a process, after any fork."""

from dataclasses import dataclass

from huntaze.clients.chat_model import ChatModel, HttpChatModel
from huntaze.clients.object_store import ObjectStore
from huntaze.clients.s3 import S3ObjectStore
from huntaze.settings import Settings


@dataclass(frozen=True)
class Clients:
    """What handlers may ask of the outside world."""

    objects: ObjectStore
    vision: ChatModel


def build_clients(settings: Settings) -> Clients:
    """Builds all clients. Opens no connection yet."""
    return Clients(objects=S3ObjectStore(settings.s3), vision=HttpChatModel(settings.ai))
