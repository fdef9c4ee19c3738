"""The Celery app: a factory, with the settings that follow from what Celery on Redis really does."""

import os
import socket
from typing import Any

from celery import Celery, signals
from celery.schedules import crontab
from kombu.entity import Queue
from kombu.transport import redis as redis_transport

from huntaze import logs
from huntaze.beat_schedule import FIRE, SCHEDULE, SWEEP, SWEEP_CRON
from huntaze.models.job_kinds import MAX_HARD_LIMIT_S, QUEUES
from huntaze.settings import Settings

_log = logs.logger(__name__)


def build_app(settings: Settings) -> Celery:
    """The app of a worker, a dispatcher, beat or Flower: all of them know the settings, none connects yet.

    Only a worker also gets the tasks (`worker/base.py: register`); the others send and watch by name.
    """
    redis_transport.Channel.QoS = _ForgivingQoS
    app = Celery("huntaze", broker=settings.redis.url.get_secret_value(), set_as_current=False)
    app.conf.update(_conf(settings))
    app.huntaze_node = node_name()
    return app


def node_name() -> str:
    """This process, unique over restarts: what a stopping node hands back is what bears its name."""
    return f"{socket.gethostname()}:{os.getpid()}:{os.urandom(3).hex()}"


class _ForgivingQoS(redis_transport.QoS):
    """When the broker's connection goes, Celery closes its channel twice, and the second time kombu looks for a client
    that is gone: an AttributeError that ends the node. A hint that is not restored is sent again from the ledger."""

    def restore_unacked_once(self, stderr: Any = None) -> None:
        try:
            super().restore_unacked_once(stderr)  # type: ignore[no-untyped-call]
        except Exception as error:
            _log.warning("hints not restored", error=type(error).__name__)


def keep_logs(settings: Settings) -> None:
    """Celery leaves logging to us once somebody listens to this signal."""

    def set_up_logging(**_: Any) -> None:
        logs.configure(settings.worker.log_level)

    signals.setup_logging.connect(set_up_logging, weak=False)


def _conf(settings: Settings) -> dict[str, Any]:
    return {
        "broker_transport_options": {
            # Only what is reserved and not yet started can come back by this, so a long one costs nothing.
            "visibility_timeout": MAX_HARD_LIMIT_S + 900,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            # kombu's default is to wait for ever: a half-open connection would hang the worker for good.
            "socket_timeout": 5,
            "socket_connect_timeout": 2,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "global_keyprefix": settings.redis.prefix,
        },
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": True,
        "task_ignore_result": True,
        "result_backend": None,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_queues": [Queue(name) for name in QUEUES],
        "task_default_queue": "default",
        "task_create_missing_queues": False,
        "worker_proc_alive_timeout": 20,
        "worker_send_task_events": True,
        "task_send_sent_event": True,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "task_publish_retry_policy": {"max_retries": 2, "interval_start": 0, "interval_max": 0.5},
        "timezone": "UTC",
        "beat_scheduler": "huntaze.worker.heartbeat:BeatScheduler",
        "beat_cron_starting_deadline": 600,
        "beat_schedule": {
            **{
                name: {"task": FIRE, "schedule": crontab.from_string(entry.cron), "args": [name]}
                for name, entry in SCHEDULE.items()
            },
            SWEEP: {"task": FIRE, "schedule": crontab.from_string(SWEEP_CRON), "args": [SWEEP]},
        },
    }
