//! Rules that change attributes, from the settings to where evidence is found and sent.

use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::otlp::{attribute, send_traces, span, traces};
use crate::support::sink::Sink;

#[tokio::test]
async fn what_a_rule_makes_is_found_forwarded_and_counted() {
    let sink = Sink::start().await;
    let gateway = Gateway::start(&[
        &format!("export.otlp.sink.endpoint={}", sink.endpoint),
        "edit=copy resource service.name to span team, set resource service.name = kiosk, \
         rename span session.token to note, pseudonymise span user.id",
    ])
    .await;
    let mut given = span(7, 1, 0, 2, 1);
    given.attributes = vec![attribute("session.token", "abc-17"), attribute("user.id", "ann-17")];

    send_traces(&gateway.grpc(), traces("cart", vec![given])).await.unwrap();

    gateway.found("service:kiosk").await;
    let sent = eventually("the destination has the span", || async { sink.spans().pop() }).await;
    let team = attribute("team", "cart");
    assert!(sent.attributes.contains(&team), "{sent:?}");
    assert!(sent.attributes.contains(&attribute("note", "****")), "{sent:?}");
    assert!(!sink.text().contains("-17"), "{}", sink.text());
    let status = gateway.get("/api/v1/status").await;
    assert_eq!(status["redacted"]["edited"], 4);
    assert_ne!(status["redacted"]["policy"], "00000000");
    gateway.settled().await;
}
