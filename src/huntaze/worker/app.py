"""The Celery app: a factory, with the settings that follow from what Celery on Redis really does."""

import os
import socket
from typing import Any

from celery import Celery, signals
from celery.schedules import crontab
from kombu.entity import Queue

from huntaze import logs
from huntaze.beat_schedule import FIRE, SCHEDULE, SWEEP, SWEEP_CRON
from huntaze.models.job_kinds import QUEUES
from huntaze.settings import Settings

_log = logs.logger(__name__)


def build_app(settings: Settings) -> Celery:
    """The app of a worker, a dispatcher, beat or Flower: all of them know the settings, none connects yet.

    Only a worker also gets the tasks (`worker/base.py: register`); the others send and watch by name.
    """
    broker = settings.redis.url.get_secret_value()
    app = Celery("huntaze", broker=broker, events="huntaze.worker.broker:Events", set_as_current=False)
    app.conf.update(_conf(settings))
    app.huntaze_node = node_name()
    return app


def node_name() -> str:
    """This process, unique over restarts: what a stopping node hands back is what bears its name."""
    return f"{socket.gethostname()}:{os.getpid()}:{os.urandom(3).hex()}"


def keep_logs(settings: Settings) -> None:
    """Celery leaves logging to us once somebody listens to this signal."""

    def set_up_logging(**_: Any) -> None:
        logs.configure(settings.worker.log_level)

    signals.setup_logging.connect(set_up_logging, weak=False)


def _conf(settings: Settings) -> dict[str, Any]:
    return {
        "broker_transport": "huntaze.worker.broker:Transport",
        "broker_transport_options": {
            # No copies of what is under way: the ledger has them, and each would cost two round trips.
            "ack_emulation": False,
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
        "task_send_sent_event": False,  # the ledger knows what was sent; telling Flower doubled the dispatcher's work
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
