"""Traces: one from the request over the row to the run and its calls, where the `otel` extra is installed and
OTEL_EXPORTER_OTLP_ENDPOINT says where to. Without, nothing of OpenTelemetry is imported by this and every span is free.

What a span says is chosen by us: host names, kinds, ids. Never a URL, a header, an error's text: they carry signatures.
"""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from huntaze.logs import logger

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

Attributes = Mapping[str, str | int | None]  # None: not known, and left out

_log = logger(__name__)
_NONE: Attributes = {}
_OFF: AbstractContextManager[None] = nullcontext()
_FLUSH_S = 2.0  # a collector that is away must not hold up a stop

# One a process, as there is one current span a thread: what makes a span need not be handed through every layer.
_provider: "TracerProvider | None" = None


def configure(service: str, exporter: "SpanExporter | None" = None) -> None:
    """Turns tracing on in this process, if the standard OTEL_* variables ask for it. After any fork: it has a thread.

    `exporter`: for tests, in place of the one that the variables describe.
    """
    global _provider
    if exporter is None and not _wanted():
        return
    try:
        from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

        name = Resource({SERVICE_NAME: service}).merge(OTELResourceDetector().detect())
        provider = TracerProvider(resource=Resource.create().merge(name), shutdown_on_exit=False)
        if exporter is not None:
            provider.add_span_processor(SimpleSpanProcessor(exporter))
        else:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    except ImportError:
        _log.warning("OTEL_EXPORTER_OTLP_ENDPOINT is set, but huntaze-workers[otel] is not installed: no traces")
        return
    except Exception as error:  # a variable that the SDK does not understand; jobs run without traces
        _log.warning("no traces", error=type(error).__name__, detail=str(error))
        return
    _provider = provider


def _wanted() -> bool:
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none"
    places = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    return not off and any(os.environ.get(place) for place in places)


def close() -> None:
    """Sends what is left, for at most `_FLUSH_S` seconds, and turns tracing off."""
    global _provider
    provider, _provider = _provider, None
    if provider is not None:
        last = threading.Thread(target=provider.shutdown, name="last-spans", daemon=True)
        last.start()
        last.join(_FLUSH_S)


def for_fastapi() -> Any:
    """FastAPI's own spans, one a request, continuing an incoming `traceparent`: the value of its `telemetry`.

    Told explicitly, so that it neither exports by itself nor makes a span of each dependency.
    """
    return {
        "tracer_provider": _provider,
        "tracing": _provider is not None,
        "metrics": False,
        "logs": False,
        "operation_spans": False,
        "auto_configure": False,
        # Probes and scrapes are no work; an event stream is a connection, open for hours.
        "exclude": lambda scope: not scope["path"].startswith("/v1/") or scope["path"].startswith("/v1/events"),
    }


def span(
    name: str, attributes: Attributes = _NONE, *, parent: str | None = None, outbound: bool = False
) -> AbstractContextManager[None]:
    """A span around the block. `parent`: a traceparent, by default the current span; `outbound`: a call to another
    system. Of an error that leaves the block it keeps the class."""
    if _provider is None:
        return _OFF
    return _span(_provider, name, parent, outbound, attributes)


@contextmanager
def _span(
    provider: "TracerProvider", name: str, parent: str | None, outbound: bool, attributes: Attributes
) -> Iterator[None]:
    from opentelemetry.trace import SpanKind, Status, StatusCode
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = None if parent is None else TraceContextTextMapPropagator().extract({"traceparent": parent})
    kind = SpanKind.CLIENT if outbound else SpanKind.INTERNAL
    tracer = provider.get_tracer("huntaze")
    with tracer.start_as_current_span(
        name, context, kind, _known(attributes), record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield
        except BaseException as error:
            current.set_attribute("error.type", type(error).__name__)
            current.set_status(Status(StatusCode.ERROR))
            raise


def note(attributes: Attributes, *, error: str | None = None) -> None:
    """Adds to the current span. `error`: a stable code, which also marks the span as failed."""
    if _provider is None:
        return
    from opentelemetry.trace import Status, StatusCode, get_current_span

    current = get_current_span()
    current.set_attributes(_known(attributes))
    if error is not None:
        current.set_attribute("error.type", error)
        current.set_status(Status(StatusCode.ERROR))


def current_traceparent() -> str | None:
    """The current span as W3C's `traceparent`, 55 characters; None where there is none."""
    if _provider is None:
        return None
    from opentelemetry.trace import get_current_span

    context = get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def _known(attributes: Attributes) -> dict[str, str | int]:
    return {name: value for name, value in attributes.items() if value is not None}
