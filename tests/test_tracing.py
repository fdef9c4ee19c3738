"""One trace from the request over the row to the run and its calls; nothing at all where nobody asked for it."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from huntaze import tracing
from huntaze.api.app import build_app
from huntaze.clients.ai.configured import routes_of
from huntaze.clients.ai.gateway import Gateway
from huntaze.clients.ai.twins import MemoryBudget
from huntaze.clients.ai.wire import HttpWire
from huntaze.clients.build import Clients
from huntaze.clients.s3 import S3ObjectStore
from huntaze.models import job_dispatch, job_enqueue, user_store
from huntaze.models.database import Sessions
from huntaze.models.job_args import Noop
from huntaze.models.job_dispatch import Turns
from huntaze.models.job_kinds import KINDS
from huntaze.models.users import Scope, User
from huntaze.pipelines.errors import Transient
from huntaze.pipelines.video.sample import write_sample
from huntaze.settings import Settings
from huntaze.tasks.context import JobContext
from huntaze.worker.base import run_job
from huntaze.worker.runtime import Runtime, build_runtime
from tests.api.conftest import serving

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ANSWER = {
    "model": "phi",
    "choices": [{"finish_reason": "stop", "message": {"content": json.dumps({"summary": "A clock.", "scenes": []})}}],
}


@pytest.fixture
def exported() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    tracing.configure("tests", exporter)
    yield exporter
    tracing.close()


@pytest.fixture
def runtime(settings: Settings, objects: S3ObjectStore) -> Iterator[Runtime]:
    """With the real store, and a model whose server is a double over real HTTP semantics."""
    http = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200, json=ANSWER)))
    built = build_runtime(settings)
    model = Gateway(routes_of(settings.ai), HttpWire(http=http), MemoryBudget())
    yield replace(built, clients=Clients(objects, model))
    built.sessions.kw["bind"].dispose()


def run_due(runtime: Runtime, queue: str) -> None:
    with runtime.sessions.begin() as session:
        job_dispatch.promote(session)
        known = {name: kind.args.version for name, kind in KINDS.items()}
        hints = job_dispatch.take_due(session, queue, 10, known, Turns()).hints
    for hint in hints:
        run_job(runtime, "here", hint.kind, hint.job_id)


def post_video(settings: Settings, sessions: Sessions, creator: User, objects: S3ObjectStore, body: bytes) -> None:
    with sessions.begin() as session:
        key = user_store.create_key(session, creator.id, "test", (Scope.READ, Scope.WRITE))[1]
    headers = {"Authorization": f"Bearer {key}", "traceparent": CALLER}
    with serving(build_app(settings)) as url, httpx.Client(base_url=url, headers=headers, trust_env=False) as api:
        upload = api.post("/v1/uploads", json={"name": "a.mp4", "size": len(body), "type": "video/mp4"}).json()
        objects.put(upload["object_key"], body, "video/mp4")
        assert api.post("/v1/videos", json={"content_id": upload["content_id"]}).status_code == 202
        assert api.get("/healthz").status_code == 200


def test_one_trace_from_the_request_to_the_calls_of_the_last_job(
    settings: Settings,
    sessions: Sessions,
    creator: User,
    objects: S3ObjectStore,
    runtime: Runtime,
    exported: InMemorySpanExporter,
    tmp_path: Path,
) -> None:
    write_sample(tmp_path / "sample.mp4")
    post_video(settings, sessions, creator, objects, (tmp_path / "sample.mp4").read_bytes())
    run_due(runtime, "video")
    run_due(runtime, "ai")

    spans: dict[str, ReadableSpan] = {span.name: span for span in exported.get_finished_spans()}
    accepted, extract, analyze = spans["POST /v1/videos"], spans["run video.extract"], spans["run video.analyze"]
    assert parent_of(accepted) == CALLER.split("-")[2]
    assert parent_of(extract) == own_id(accepted)
    assert parent_of(analyze) == own_id(extract)
    assert parent_of(spans["chat"]) == own_id(analyze)
    assert {"S3.HeadObject", "S3.GetObject", "S3.PutObject"} <= spans.keys()
    assert "GET /healthz" not in spans, "probes are no work"
    assert spans["chat"].attributes["server.address"] == "127.0.0.1"
    assert extract.attributes["creator_id"] == str(creator.id)
    # The two that were put there by hand stand outside of any request.
    of_request = [span for span in exported.get_finished_spans() if span.parent is not None]
    assert {f"{span.context.trace_id:032x}" for span in of_request} == {CALLER.split("-")[1]}
    told = "".join(span.to_json() for span in exported.get_finished_spans())
    assert settings.s3.secret_access_key.get_secret_value() not in told
    for secret in ("Signature", "X-Amz", "Bearer", "hz_", "uploads/"):
        assert secret not in told.replace("/v1/uploads", ""), secret


def parent_of(span: ReadableSpan) -> str | None:
    return None if span.parent is None else f"{span.parent.span_id:016x}"


def own_id(span: ReadableSpan) -> str:
    return f"{span.context.span_id:016x}"


def test_each_attempt_has_its_span_below_the_one_that_enqueued(
    sessions: Sessions, runtime: Runtime, exported: InMemorySpanExporter
) -> None:
    def shaky(ctx: JobContext, args: Noop) -> None:
        if ctx.job.errors == 0:
            raise Transient("test.shaky", "see https://store/?X-Amz-Signature=abc", 0.0)

    with tracing.span("enqueue"), sessions.begin() as session:
        job_enqueue.enqueue(session, Noop())
    for _ in range(2):
        run_due(replace(runtime, handlers={"noop": shaky}), "default")
    enqueue, first, second = exported.get_finished_spans()
    assert parent_of(first) == parent_of(second) == own_id(enqueue)
    assert (first.attributes["outcome"], first.attributes["error.type"]) == ("retried", "test.shaky")
    assert (second.attributes["outcome"], second.attributes.get("error.type")) == ("succeeded", None)
    assert not first.status.is_ok
    assert "abc" not in first.to_json()


def test_an_error_that_leaves_a_span_is_told_by_its_class_alone(exported: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="abc"), tracing.span("call", outbound=True):
        raise ValueError("https://store/?X-Amz-Signature=abc")
    (span,) = exported.get_finished_spans()
    assert span.attributes["error.type"] == "ValueError"
    assert not span.status.is_ok
    assert "abc" not in span.to_json()


def test_rows_without_a_trace_begin_one(sessions: Sessions, runtime: Runtime, exported: InMemorySpanExporter) -> None:
    with sessions.begin() as session:
        assert job_enqueue.enqueue(session, Noop()).job.trace is None
    run_due(runtime, "default")
    (span,) = exported.get_finished_spans()
    assert span.parent is None


QUIET = """
import sys
from huntaze import tracing
from huntaze.worker import __main__, base, lifecycle
tracing.configure("worker")
with tracing.span("call", {"a": 1}, outbound=True):
    tracing.note({"b": 2})
    assert tracing.current_traceparent() is None
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk.trace", "opentelemetry.exporter"))])
"""


@pytest.mark.parametrize(
    "off", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}]
)
def test_a_worker_that_nobody_traces_imports_nothing_of_it(off: dict[str, str]) -> None:
    ran = subprocess.run([sys.executable, "-c", QUIET], capture_output=True, text=True, check=True, env=off)
    assert ran.stdout == "[]\n", ran.stderr


def test_without_the_extra_a_warning_and_no_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    tracing.configure("tests")
    with tracing.span("call"):
        assert tracing.current_traceparent() is None


class Collector(BaseHTTPRequestHandler):
    """Takes what an OTLP exporter sends."""

    taken: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        self.taken.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on the tests' output."""


def test_the_standard_variables_say_where_to(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[str, bytes]] = []
    with HTTPServer(("127.0.0.1", 0), type("Own", (Collector,), {"taken": taken})) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=proving-ground")
        tracing.configure("huntaze-worker")
        with tracing.span("call"):
            assert tracing.current_traceparent() is not None
        tracing.close()
        server.shutdown()
        thread.join()
    ((path, body),) = taken
    assert path == "/v1/traces"
    assert b"huntaze-worker" in body
    assert b"proving-ground" in body


def test_a_collector_that_is_away_does_not_hold_up_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    tracing.configure("tests")
    with tracing.span("call"):
        pass
    begun = time.monotonic()
    tracing.close()
    assert time.monotonic() - begun < 5
    assert tracing.current_traceparent() is None
