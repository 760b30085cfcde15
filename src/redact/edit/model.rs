//! What edits mean, said again without bytes: objects are decoded, changed one rule after the
//! other, redacted by a policy without rules, and compared.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::super::policy::Policy;
use super::super::replace::{is_token, token};
use super::super::tests::clean;
use super::list::COPIED_BYTES_MAX;
use super::rule::{Action, Attribute, Condition, How, Level, Literal, Rule, Test};
use crate::evidence::Signal;

/// What is done with each list of a request, outer lists before inner ones.
type Visit<'v> = dyn FnMut(Level, &mut Vec<KeyValue>) + 'v;

/// A request whose lists can be visited.
pub(super) trait Request: Message + Default + Clone + std::fmt::Debug {
    const SIGNAL: Signal;

    fn visit(&mut self, visit: &mut Visit<'_>);
}

impl Request for ExportTraceServiceRequest {
    const SIGNAL: Signal = Signal::Traces;

    fn visit(&mut self, visit: &mut Visit<'_>) {
        for resource in &mut self.resource_spans {
            visit_resource(&mut resource.resource, visit);
            for scope in &mut resource.scope_spans {
                visit_scope(&mut scope.scope, visit);
                for span in &mut scope.spans {
                    visit(Level::Span, &mut span.attributes);
                    span.events.iter_mut().for_each(|it| visit(Level::Event, &mut it.attributes));
                    span.links.iter_mut().for_each(|it| visit(Level::Link, &mut it.attributes));
                }
            }
        }
    }
}

impl Request for ExportLogsServiceRequest {
    const SIGNAL: Signal = Signal::Logs;

    fn visit(&mut self, visit: &mut Visit<'_>) {
        for resource in &mut self.resource_logs {
            visit_resource(&mut resource.resource, visit);
            for scope in &mut resource.scope_logs {
                visit_scope(&mut scope.scope, visit);
                scope.log_records.iter_mut().for_each(|it| visit(Level::Log, &mut it.attributes));
            }
        }
    }
}

impl Request for ExportMetricsServiceRequest {
    const SIGNAL: Signal = Signal::Metrics;

    fn visit(&mut self, visit: &mut Visit<'_>) {
        for resource in &mut self.resource_metrics {
            visit_resource(&mut resource.resource, visit);
            for scope in &mut resource.scope_metrics {
                visit_scope(&mut scope.scope, visit);
                let data = scope.metrics.iter_mut().filter_map(|metric| metric.data.as_mut());
                data.for_each(|data| visit_points(data, visit));
            }
        }
    }
}

fn visit_points(data: &mut Data, visit: &mut Visit<'_>) {
    let mut point = |attributes: &mut Vec<KeyValue>| visit(Level::Point, attributes);
    match data {
        Data::Gauge(it) => it.data_points.iter_mut().for_each(|it| point(&mut it.attributes)),
        Data::Sum(it) => it.data_points.iter_mut().for_each(|it| point(&mut it.attributes)),
        Data::Histogram(it) => it.data_points.iter_mut().for_each(|it| point(&mut it.attributes)),
        Data::ExponentialHistogram(it) => {
            it.data_points.iter_mut().for_each(|it| point(&mut it.attributes));
        }
        Data::Summary(it) => it.data_points.iter_mut().for_each(|it| point(&mut it.attributes)),
    }
}

fn visit_resource(resource: &mut Option<Resource>, visit: &mut Visit<'_>) {
    let mut some = resource.clone().unwrap_or_default();
    visit(Level::Resource, &mut some.attributes);
    if resource.is_some() || !some.attributes.is_empty() {
        *resource = Some(some);
    }
}

fn visit_scope(scope: &mut Option<InstrumentationScope>, visit: &mut Visit<'_>) {
    let mut some = scope.clone().unwrap_or_default();
    visit(Level::Scope, &mut some.attributes);
    if scope.is_some() || !some.attributes.is_empty() {
        *scope = Some(some);
    }
}

/// An attribute and what was done to it.
#[derive(Clone, Debug)]
struct Edited {
    pair: KeyValue,
    /// All keys that its value has had.
    keys: Vec<String>,
    /// Whether a rule wrote its key.
    touched: bool,
    /// Whether its value is no longer from the request.
    made: bool,
}

/// All lists of a request, outer ones before inner ones.
type Lists = Vec<(Level, Vec<Edited>)>;

/// What the request is after the rules and the redaction by a policy without rules.
pub(super) fn expected<R: Request>(
    mut request: R,
    rules: &[Rule],
    key: [u8; 32],
    policy: &Policy,
) -> R {
    let mut lists: Lists = Vec::new();
    request.visit(&mut |level, list| {
        let edited = list.iter().map(|pair| Edited {
            pair: pair.clone(),
            keys: vec![pair.key.clone()],
            touched: false,
            made: false,
        });
        lists.push((level, edited.collect()));
    });
    for rule in rules {
        (0..lists.len()).for_each(|at| apply(rule, &mut lists, at, key));
    }
    let mut rest = lists.iter();
    request.visit(&mut |_, list| {
        let (_, edited) = rest.next().unwrap();
        *list = edited.iter().map(|edited| for_redaction(edited, policy)).collect();
    });
    let cleaned = clean(policy, R::SIGNAL, &request.encode_to_vec()).unwrap();
    let mut request = R::decode(cleaned.bytes().as_ref()).unwrap();
    let mut rest = lists.iter();
    request.visit(&mut |_, list| {
        let (_, edited) = rest.next().unwrap();
        assert_eq!(list.len(), edited.len());
        for (pair, edited) in list.iter_mut().zip(edited) {
            if edited.touched {
                pair.key.clone_from(&edited.pair.key);
            }
            if edited.made {
                pair.value.clone_from(&edited.pair.value);
            }
        }
    });
    request
}

/// The attribute under the worst of its keys. A value that is not from the request stands back.
fn for_redaction(edited: &Edited, policy: &Policy) -> KeyValue {
    let rank = |key: &&String| super::super::judge::says(policy, key.as_bytes());
    let worst = edited.keys.iter().max_by_key(rank).unwrap();
    let mut pair = edited.pair.clone();
    if edited.touched {
        pair.key.clone_from(worst);
    }
    if edited.made {
        pair.value = None;
    }
    pair
}

fn apply(rule: &Rule, lists: &mut Lists, at: usize, key: [u8; 32]) {
    let own = lists[at].0;
    if own != rule.level || !holds(rule.condition.as_ref(), lists, at) {
        return;
    }
    let copied = match &rule.action {
        Action::Copy { from, .. } => find(from, lists, at),
        _ => None,
    };
    let list = &mut lists[at].1;
    let present = |list: &[Edited], key: &str| list.iter().any(|it| it.pair.key == key);
    match &rule.action {
        Action::Write { how, key, value } => {
            let is_due = match how {
                How::Add => !present(list, key),
                How::Set => true,
                How::Change => present(list, key),
            };
            if is_due {
                let value = any(match value {
                    Literal::Text(text) => Value::StringValue(text.clone()),
                    Literal::Flag(flag) => Value::BoolValue(*flag),
                    Literal::Number(number) => Value::IntValue(*number),
                    Literal::Float(float) => Value::DoubleValue(*float),
                });
                set(list, key, value, &[], true);
            }
        }
        Action::Remove { key } => list.retain(|it| it.pair.key != *key),
        Action::Rename { from, to } => {
            if present(list, from) {
                list.retain(|it| it.pair.key != *to);
            }
            for it in list.iter_mut().filter(|it| it.pair.key == *from) {
                it.pair.key.clone_from(to);
                it.keys.push(to.clone());
                it.touched = true;
            }
        }
        Action::Copy { to, .. } => {
            let fits = |it: &Edited| {
                it.pair.value.as_ref().map_or(0, Message::encoded_len) <= COPIED_BYTES_MAX
            };
            if let Some(from) = copied.filter(fits) {
                set(list, to, from.pair.value, &from.keys, from.made);
            }
        }
        Action::Pseudonymise { key: of } => {
            for it in list.iter_mut().filter(|it| it.pair.key == *of) {
                pseudonymise(it, key);
            }
        }
    }
}

fn set(list: &mut Vec<Edited>, key: &str, value: Option<AnyValue>, from: &[String], made: bool) {
    let keys = from.iter().cloned().chain([key.to_owned()]).collect();
    let pair = KeyValue { key: key.to_owned(), value, ..KeyValue::default() };
    let new = Edited { pair, keys, touched: true, made };
    match list.iter().position(|it| it.pair.key == key) {
        None => list.push(new),
        Some(first) => {
            let mut at = 0;
            list.retain(|it| {
                at += 1;
                at - 1 <= first || it.pair.key != key
            });
            list[first] = new;
        }
    }
}

fn pseudonymise(edited: &mut Edited, key: [u8; 32]) {
    let text = |secret: &[u8]| {
        Value::StringValue(String::from_utf8(token(&key, secret).to_vec()).unwrap())
    };
    let value = edited.pair.value.clone().and_then(|it| it.value);
    let made = match value {
        None => return,
        Some(Value::StringValue(it)) if it.is_empty() || it == "****" => return,
        Some(Value::StringValue(it)) if is_token(it.as_bytes()) => return,
        Some(Value::BytesValue(it)) if it.is_empty() => return,
        Some(Value::StringValue(it)) => text(it.as_bytes()),
        Some(Value::BytesValue(it)) => text(&it),
        Some(Value::IntValue(it)) => text(it.to_string().as_bytes()),
        Some(_) => Value::StringValue("****".to_owned()),
    };
    edited.pair = KeyValue { value: any(made), key_strindex: 0, ..edited.pair.clone() };
    (edited.touched, edited.made) = (true, true);
}

fn holds(condition: Option<&Condition>, lists: &Lists, at: usize) -> bool {
    let Some(Condition { of, test }) = condition else { return true };
    let found = find(of, lists, at);
    let value = found.clone().and_then(|it| it.pair.value).and_then(|it| it.value);
    match test {
        Test::Present => found.is_some(),
        Test::Missing => found.is_none(),
        Test::Equals(Literal::Text(text)) => value == Some(Value::StringValue(text.clone())),
        Test::Equals(Literal::Flag(flag)) => value == Some(Value::BoolValue(*flag)),
        Test::Equals(Literal::Number(number)) => value == Some(Value::IntValue(*number)),
        Test::Equals(Literal::Float(float)) => value == Some(Value::DoubleValue(*float)),
    }
}

/// The attribute in the list itself, or in the nearest list of that level before it.
fn find(of: &Attribute, lists: &Lists, at: usize) -> Option<Edited> {
    let (_, list) = lists[..=at].iter().rfind(|(level, _)| *level == of.level)?;
    list.iter().find(|it| it.pair.key == of.key).cloned()
}

fn any(value: Value) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}
