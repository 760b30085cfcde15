"""One request across three services, told by the OpenTelemetry SDK for Python.

Plants a word and a secret, so that a test can search for the one and must never find the other.
Prints one line of JSON; exits with 1 when an export failed.
"""

import argparse
import json
import logging
import sys

from opentelemetry import propagate
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

TIMEOUT_S = 10


def exporters(protocol, endpoint):
    """The span, log and metric exporters of one service."""
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        options = {"endpoint": endpoint, "insecure": True, "timeout": TIMEOUT_S}
        return OTLPSpanExporter(**options), OTLPLogExporter(**options), OTLPMetricExporter(**options)

    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    base = endpoint.rstrip("/")
    return (
        OTLPSpanExporter(endpoint=f"{base}/v1/traces", timeout=TIMEOUT_S),
        OTLPLogExporter(endpoint=f"{base}/v1/logs", timeout=TIMEOUT_S),
        OTLPMetricExporter(endpoint=f"{base}/v1/metrics", timeout=TIMEOUT_S),
    )


def watched(exporter, kind, outcomes):
    """Notes how each export ended: the processors keep it to themselves."""
    export = exporter.export

    def noting(batch, *args, **kwargs):
        result = export(batch, *args, **kwargs)
        size = len(batch) if kind != "metrics" else 1
        outcomes.append((kind, size, result.name))
        return result

    exporter.export = noting
    return exporter


class Service:
    """One process of the shop: three providers that share a resource."""

    def __init__(self, name, options, outcomes):
        spans, logs, metrics = exporters(options.protocol, options.endpoint)
        resource = Resource.create(
            {
                "service.name": name,
                "service.version": "1.0.0",
                "service.namespace": "sdk-python",
                "api_key": options.secret,
            }
        )
        self.traces = TracerProvider(resource=resource)
        self.traces.add_span_processor(BatchSpanProcessor(watched(spans, "spans", outcomes)))
        self.logs = LoggerProvider(resource=resource)
        self.logs.add_log_record_processor(BatchLogRecordProcessor(watched(logs, "logs", outcomes)))
        reader = PeriodicExportingMetricReader(watched(metrics, "metrics", outcomes))
        self.meters = MeterProvider(resource=resource, metric_readers=[reader])
        self.tracer = self.traces.get_tracer("shop")
        self.logger = self.logs.get_logger("shop")
        self.duration = self.meters.get_meter("shop").create_histogram(
            "http.server.request.duration", unit="s"
        )

    def serves(self, name, headers):
        """The span of an incoming request."""
        context = propagate.extract(headers)
        return self.tracer.start_as_current_span(name, context=context, kind=SpanKind.SERVER)

    def calls(self, name):
        """The span of an outgoing request."""
        return self.tracer.start_as_current_span(name, kind=SpanKind.CLIENT)

    def says(self, body, severity=SeverityNumber.INFO):
        """A log record within the current span."""
        self.logger.emit(body=body, severity_number=severity, severity_text=severity.name)

    def close(self):
        """Sends what is held; false when a provider could not."""
        providers = (self.traces, self.logs, self.meters)
        flushed = all([provider.force_flush(TIMEOUT_S * 1000) for provider in providers])
        for provider in providers:
            provider.shutdown()
        return flushed


def sent_headers():
    """What a client writes into its request."""
    headers = {}
    propagate.inject(headers)
    return headers


def request(front, orders, payments, options):
    """A visitor buys something, and the payment fails. Answers the trace id."""
    secret = options.secret
    with front.serves("GET /checkout", {}) as span:
        span.set_attributes(
            {
                "http.request.method": "GET",
                "http.route": "/checkout",
                "http.response.status_code": 503,
                "url.path": "/checkout",
                "url.query": f"token={secret}",
                "http.request.header.authorization": f"Bearer {secret}",
            }
        )
        span.set_status(Status(StatusCode.ERROR))
        front.says(f"The visitor asked for {options.word}.")
        front.duration.record(0.042, {"http.route": "/checkout"})
        with front.calls("POST") as client:
            client.set_attributes(
                {
                    "http.request.method": "POST",
                    "server.address": "orders",
                    "url.full": f"http://orders:8080/orders?token={secret}",
                }
            )
            order(orders, payments, options, sent_headers())
        return format(span.get_span_context().trace_id, "032x")


def order(orders, payments, options, headers):
    with orders.serves("POST /orders", headers) as span:
        span.set_attributes({"http.request.method": "POST", "http.route": "/orders"})
        orders.says(f"Calling payments with authorization: Bearer {options.secret}")
        with orders.calls("POST") as client:
            client.set_attributes({"http.request.method": "POST", "server.address": "payments"})
            pay(payments, options, sent_headers())


def pay(payments, options, headers):
    with payments.serves("POST /charges", headers) as span:
        span.set_attributes({"http.request.method": "POST", "http.route": "/charges"})
        span.add_event("card.declined", {"detail": f"authorization: Bearer {options.secret}"})
        span.set_status(Status(StatusCode.ERROR, "card processor timeout"))
        payments.says("The card processor did not answer.", SeverityNumber.ERROR)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--protocol", choices=("grpc", "http/protobuf"), required=True)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--word", required=True)
    parser.add_argument("--secret", required=True)
    options = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)

    outcomes = []
    services = [Service(name, options, outcomes) for name in ("front", "orders", "payments")]
    trace_id = request(*services, options)
    flushed = all([service.close() for service in services])

    def sent(kind):
        return sum(size for of, size, result in outcomes if of == kind and result == "SUCCESS")

    failed = [outcome for outcome in outcomes if outcome[2] != "SUCCESS"]
    print(json.dumps({"trace_id": trace_id, "spans": sent("spans"), "logs": sent("logs")}))
    if failed or not flushed:
        print(f"exports failed: {failed}, flushed: {flushed}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
