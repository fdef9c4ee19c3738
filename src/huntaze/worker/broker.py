"""Kombu's Redis transport and Celery's events, as light as hints allow: the ledger sends again what gets lost here."""

from functools import cached_property, partial
from typing import Any

import redis
from celery.app.events import Events as CeleryEvents
from celery.events.dispatcher import EventDispatcher
from kombu.transport import redis as redis_transport
from kombu.transport.virtual import QoS as VirtualQoS

from huntaze.logs import logger

_log = logger(__name__)

EVENTS_S = 0.5  # how late Flower hears of a task at most
_MOST_EVENTS = 500
_SILENCE_S = 1.0


class QoS(VirtualQoS):
    """What was received and not started is put back when the connection goes; if it cannot be, it is not dumped."""

    def restore_unacked(self) -> list[Any]:
        unrestored = super().restore_unacked()  # type: ignore[no-untyped-call]
        if unrestored:
            _log.warning("hints not restored: the ledger sends them again", hints=len(unrestored))
        return []


class Channel(redis_transport.Channel):
    """A channel with one client a pool, where kombu makes one (and redis-py a table of 170 callbacks) a command."""

    _one_client: redis.Redis | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self.QoS = QoS  # type: ignore[assignment]

    def _create_client(self, asynchronous: bool = False) -> redis.Redis:
        if asynchronous:  # these hold a connection of their own
            return super()._create_client(asynchronous=True)  # type: ignore[no-untyped-call, no-any-return]
        if self._one_client is None or self._one_client.connection_pool is not self.pool:
            self._one_client = super()._create_client()  # type: ignore[no-untyped-call]
        return self._one_client

    @cached_property
    def subclient(self) -> Any:
        """Who listens for remote control: kombu's, but with a bound on how long.

        Kombu reads from it without one, as it reads only what has come. But where a dead connection was replaced by a
        new one that is dead too, nothing comes, and the node would wait there for good, heartbeats and all.
        """
        listener = self._create_client(asynchronous=True).pubsub()  # type: ignore[no-untyped-call]
        listener.parse_response = partial(listener.parse_response, block=False, timeout=_SILENCE_S)
        return listener


class Transport(redis_transport.Transport):
    """For `broker_transport`."""

    Channel = Channel


class Dispatcher(EventDispatcher):  # type: ignore[misc]
    """Task events in bundles, sent by a timer (`lifecycle.py`), where Celery publishes at each turn of its loop."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("on_send_buffered") is not None:
            kwargs |= {"on_send_buffered": None, "buffer_limit": _MOST_EVENTS}
        super().__init__(*args, **kwargs)


class Events(CeleryEvents):  # type: ignore[misc]
    """For `Celery(events=)`."""

    dispatcher_cls = Dispatcher
