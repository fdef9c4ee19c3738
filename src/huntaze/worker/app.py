"""The Celery app: a factory, with the settings that follow from what Celery on Redis really does."""

from typing import Any

from celery import Celery
from celery.schedules import crontab
from kombu.entity import Queue

from huntaze.beat_schedule import SCHEDULE
from huntaze.models.job_kinds import KINDS, MAX_HARD_LIMIT_S, QUEUES
from huntaze.settings import Settings
from huntaze.worker.base import JobTask
from huntaze.worker.clock import FIRE, SWEEP, ClockTask
from huntaze.worker.runtime import ProcessRuntime, node_name

_SWEEP_CRON = "*/5 * * * *"


def build_app(settings: Settings, *, threads: int = 1) -> Celery:
    """The app of a worker, a dispatcher, beat or Flower. Connects to nothing yet."""
    app = Celery("huntaze", broker=settings.redis.url.get_secret_value(), set_as_current=False)
    app.conf.update(_conf(settings))
    app.huntaze_runtime = ProcessRuntime(settings, threads)
    app.huntaze_node = node_name()
    for name, kind in KINDS.items():
        limits = {"soft_time_limit": kind.soft_limit_s, "time_limit": kind.hard_limit_s}
        app.register_task(type("KindTask", (JobTask,), {"name": name, "queue": kind.queue, **limits})())
    app.register_task(ClockTask())
    return app


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
            SWEEP: {"task": FIRE, "schedule": crontab.from_string(_SWEEP_CRON), "args": [SWEEP]},
        },
    }
