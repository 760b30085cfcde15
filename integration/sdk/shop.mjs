// One request across three services, told by the OpenTelemetry SDK for Node over OTLP/HTTP JSON.
//
// Plants a word and a secret, so that a test can search for the one and must never find the other.
// Prints one line of JSON; exits with 1 when an export failed.

import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';

// The packages lie where `integration/setup.sh` puts them, outside the sources.
const require = createRequire(new URL('../../.local/node/package.json', import.meta.url));
const { defaultTextMapGetter, defaultTextMapSetter, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } =
  require('@opentelemetry/api');
const { SeverityNumber } = require('@opentelemetry/api-logs');
const { ExportResultCode, W3CTraceContextPropagator } = require('@opentelemetry/core');
const { OTLPLogExporter } = require('@opentelemetry/exporter-logs-otlp-http');
const { OTLPMetricExporter } = require('@opentelemetry/exporter-metrics-otlp-http');
const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-http');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { BatchLogRecordProcessor, LoggerProvider } = require('@opentelemetry/sdk-logs');
const { MeterProvider, PeriodicExportingMetricReader } = require('@opentelemetry/sdk-metrics');
const { BasicTracerProvider, BatchSpanProcessor } = require('@opentelemetry/sdk-trace-base');

const TIMEOUT_MS = 10_000;
const propagator = new W3CTraceContextPropagator();

/** Notes how each export ended: the processors keep it to themselves. */
function watched(exporter, kind, outcomes) {
  const send = exporter.export.bind(exporter);
  exporter.export = (batch, done) =>
    send(batch, (result) => {
      const size = Array.isArray(batch) ? batch.length : 1;
      outcomes.push({ kind, size, ok: result.code === ExportResultCode.SUCCESS, error: result.error?.message });
      done(result);
    });
  return exporter;
}

/** One process of the shop: three providers that share a resource. */
class Service {
  constructor(name, options, outcomes) {
    const to = (signal) => ({ url: `${options.endpoint.replace(/\/+$/, '')}/v1/${signal}`, timeoutMillis: TIMEOUT_MS });
    const resource = resourceFromAttributes({
      'service.name': name,
      'service.version': '1.0.0',
      'service.namespace': 'sdk-node',
      api_key: options.secret,
    });
    const spans = watched(new OTLPTraceExporter(to('traces')), 'spans', outcomes);
    const logs = watched(new OTLPLogExporter(to('logs')), 'logs', outcomes);
    const metrics = watched(new OTLPMetricExporter(to('metrics')), 'metrics', outcomes);
    const traces = new BasicTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(spans)] });
    const records = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter: logs })] });
    const meters = new MeterProvider({ resource, readers: [new PeriodicExportingMetricReader({ exporter: metrics })] });
    this.providers = [traces, records, meters];
    this.tracer = traces.getTracer('shop');
    this.logger = records.getLogger('shop');
    this.duration = meters.getMeter('shop').createHistogram('http.server.request.duration', { unit: 's' });
  }

  /** The span of an incoming request, and the context to work in. */
  serves(name, headers, attributes) {
    const parent = propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter);
    return this.#begin(name, SpanKind.SERVER, attributes, parent);
  }

  /** The span of an outgoing request, and what its client writes into the request. */
  calls(name, parent, attributes) {
    const begun = this.#begin(name, SpanKind.CLIENT, attributes, parent);
    const headers = {};
    propagator.inject(begun.within, headers, defaultTextMapSetter);
    return { ...begun, headers };
  }

  says(within, body, severityNumber = SeverityNumber.INFO) {
    const severityText = SeverityNumber[severityNumber];
    this.logger.emit({ body, severityNumber, severityText, context: within });
  }

  /** Sends what is held. */
  async close() {
    for (const provider of this.providers) await provider.forceFlush();
    for (const provider of this.providers) await provider.shutdown();
  }

  #begin(name, kind, attributes, parent) {
    const span = this.tracer.startSpan(name, { kind, attributes }, parent);
    return { span, within: trace.setSpan(parent, span) };
  }
}

/** A visitor buys something, and the payment fails. Answers the trace id. */
function request([front, orders, payments], { word, secret }) {
  const { span, within } = front.serves('GET /checkout', {}, {
    'http.request.method': 'GET',
    'http.route': '/checkout',
    'http.response.status_code': 503,
    'url.path': '/checkout',
    'url.query': `token=${secret}`,
    'http.request.header.authorization': `Bearer ${secret}`,
  });
  span.setStatus({ code: SpanStatusCode.ERROR });
  front.says(within, `The visitor asked for ${word}.`);
  front.duration.record(0.042, { 'http.route': '/checkout' }, within);
  const client = front.calls('POST', within, {
    'http.request.method': 'POST',
    'server.address': 'orders',
    'url.full': `http://orders:8080/orders?token=${secret}`,
  });
  order(orders, payments, secret, client.headers);
  client.span.end();
  span.end();
  return span.spanContext().traceId;
}

function order(orders, payments, secret, headers) {
  const attributes = { 'http.request.method': 'POST', 'http.route': '/orders' };
  const { span, within } = orders.serves('POST /orders', headers, attributes);
  orders.says(within, `Calling payments with authorization: Bearer ${secret}`);
  const client = orders.calls('POST', within, { 'http.request.method': 'POST', 'server.address': 'payments' });
  pay(payments, secret, client.headers);
  client.span.end();
  span.end();
}

function pay(payments, secret, headers) {
  const attributes = { 'http.request.method': 'POST', 'http.route': '/charges' };
  const { span, within } = payments.serves('POST /charges', headers, attributes);
  span.addEvent('card.declined', { detail: `authorization: Bearer ${secret}` });
  span.setStatus({ code: SpanStatusCode.ERROR, message: 'card processor timeout' });
  payments.says(within, 'The card processor did not answer.', SeverityNumber.ERROR);
  span.end();
}

function arguments_() {
  const text = { type: 'string' };
  const { values } = parseArgs({ options: { endpoint: text, word: text, secret: text, protocol: text } });
  for (const name of ['endpoint', 'word', 'secret']) {
    if (!values[name]) throw new Error(`--${name} is missing`);
  }
  if (values.protocol && values.protocol !== 'http/json') throw new Error('--protocol must be http/json');
  return values;
}

const options = arguments_();
const outcomes = [];
const services = ['front', 'orders', 'payments'].map((name) => new Service(name, options, outcomes));
const traceId = request(services, options);
// A provider rejects its flush when an export failed; the outcomes say the same with more detail.
const closed = await Promise.allSettled(services.map((service) => service.close()));
const sent = (kind) => outcomes.filter((it) => it.kind === kind && it.ok).reduce((sum, it) => sum + it.size, 0);
const failed = outcomes.filter((it) => !it.ok);
console.log(JSON.stringify({ trace_id: traceId, spans: sent('spans'), logs: sent('logs') }));
if (failed.length > 0 || closed.some((it) => it.status === 'rejected')) {
  console.error('exports failed:', JSON.stringify({ failed, closed: closed.map((it) => String(it.reason ?? 'ok')) }));
  process.exitCode = 1;
}
