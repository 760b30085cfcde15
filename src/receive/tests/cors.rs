use ::http::{Method, Request};

use super::http::{Answer, JSON, LOGS, post, send};
use super::*;

fn shop() -> Settings {
    let origins = ["https://*.example.com"].map(|text| Origin::parse(text).unwrap()).to_vec();
    let headers = vec!["X-Tenant".to_owned()];
    Settings { cors: Cors { origins, headers, ..Cors::default() }, ..settings() }
}

async fn preflight(doors: &Doors, path: &str, origin: &str) -> Answer {
    let request = Request::builder()
        .method(Method::OPTIONS)
        .uri(format!("http://{}{path}", doors.http))
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,x-tenant");
    send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_page_that_is_let_in_is_told_what_it_may_send() {
    let doors = Doors::with(Reply::Accepted, shop()).await;
    let answer = preflight(&doors, "/v1/traces", "https://shop.example.com").await;
    assert_eq!(answer.code.as_u16(), 200);
    let rows = [
        ("access-control-allow-origin", "https://shop.example.com"),
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", "x-tenant,content-type,content-encoding"),
        ("access-control-allow-credentials", "true"),
        ("access-control-max-age", "600"),
    ];
    for (name, value) in rows {
        assert_eq!(answer.header(name), value, "{name}");
    }
    assert!(answer.header("vary").to_lowercase().contains("origin"));
}

#[tokio::test]
async fn its_requests_and_their_refusals_can_be_read_by_it() {
    let doors = Doors::with(refused(Refusal::Busy), shop()).await;
    let headers = [("content-type", JSON), ("origin", "https://shop.example.com")];
    let answer = post(&doors, "/v1/logs", &headers, LOGS).await;
    assert_eq!((answer.code.as_u16(), answer.header("retry-after")), (503, "1"));
    assert_eq!(answer.header("access-control-allow-origin"), "https://shop.example.com");
    assert_eq!(answer.header("access-control-expose-headers"), "retry-after");
}

#[tokio::test]
async fn other_pages_are_not_let_in() {
    let doors = Doors::with(Reply::Accepted, shop()).await;
    for origin in ["https://evil.example", "https://shop.example.com.evil.example", "null"] {
        let answer = preflight(&doors, "/v1/traces", origin).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
    }
    let flows = preflight(&doors, "/v1/flows", "https://shop.example.com").await;
    assert_eq!((flows.code.as_u16(), flows.header("access-control-allow-origin")), (405, ""));
}

#[tokio::test]
async fn no_page_is_let_in_unless_one_is_named() {
    let doors = Doors::open(Reply::Accepted).await;
    let answer = preflight(&doors, "/v1/traces", "https://shop.example.com").await;
    assert_eq!((answer.code.as_u16(), answer.header("allow")), (405, "POST"));
    assert_eq!(answer.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn any_page_and_any_header_may_be_let_in() {
    let origins = vec![Origin::parse("*").unwrap()];
    let cors = Cors { origins, headers: vec!["*".to_owned()], ..Cors::default() };
    let doors = Doors::with(Reply::Accepted, Settings { cors, ..settings() }).await;
    let answer = preflight(&doors, "/v1/traces", "http://localhost:3000").await;
    assert_eq!(answer.header("access-control-allow-origin"), "http://localhost:3000");
    assert_eq!(answer.header("access-control-allow-headers"), "content-type,x-tenant");
}
