//! Log records of the same requests.

use fastrand::Rng;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};

use super::shop::{self, number, text};

pub(crate) fn request(records: usize, start: u64, random: &mut Rng) -> ExportLogsServiceRequest {
    let resource_logs = shop::by_pod(records).map(|(pod, own)| ResourceLogs {
        resource: Some(shop::resource(pod)),
        scope_logs: vec![ScopeLogs {
            scope: Some(shop::scope()),
            log_records: own.into_iter().map(|at| record(at, start, random)).collect(),
            ..ScopeLogs::default()
        }],
        ..ResourceLogs::default()
    });
    ExportLogsServiceRequest { resource_logs: resource_logs.collect() }
}

fn record(at: usize, start: u64, random: &mut Rng) -> LogRecord {
    let time = start + random.u64(0..5_000_000);
    let is_bad = random.u8(..50) == 0;
    LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: time + 40_000,
        severity_number: if is_bad { 17 } else { 9 },
        severity_text: if is_bad { "ERROR" } else { "INFO" }.to_owned(),
        body: Some(AnyValue { value: Some(Value::StringValue(body(is_bad, random))) }),
        attributes: vec![
            text("thread.name", &format!("http-nio-8443-exec-{}", random.u8(..200))),
            text("code.function.name", "com.example.shop.Orders.place"),
            number("code.line.number", i64::from(random.u8(..))),
            text("app.tenant", &format!("tenant-{}", random.u16(..500))),
        ],
        flags: 1,
        trace_id: shop::trace_id(at),
        span_id: shop::span_id(at),
        ..LogRecord::default()
    }
}

fn body(is_bad: bool, random: &mut Rng) -> String {
    let (order, cents) = (random.u32(..), random.u16(..));
    if is_bad {
        let planted = shop::PLANTED;
        return format!("order {order} refused for {planted}.{cents}@example.com: read timed out");
    }
    format!("order {order} placed, 3 items, total {cents} cents, carrier dhl, took {cents} us")
}
