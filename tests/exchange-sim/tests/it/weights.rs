//! Request weights over the wire. Windows and bans in time are tested beside their code.

use exchange_sim::{Budgets, Options};

use crate::client::{private, public, start_with};

fn options(budgets: Budgets) -> Options {
    Options { budgets, ..Options::default() }
}

#[tokio::test]
async fn past_the_budget_requests_are_refused_and_then_banned() {
    let budgets = Budgets { request_weight: 25, refusals_before_ban: 2, ..Budgets::default() };
    let sim = start_with("quirks.json", options(budgets)).await;
    let info = public(&sim, "/api/v3/exchangeInfo").await;
    assert_eq!(info.header("X-MBX-USED-WEIGHT-1M"), Some("20"));
    assert_eq!(info.header("X-MBX-USED-WEIGHT"), Some("20"));
    assert_eq!(info.json()["rateLimits"][0]["limit"], 25);
    for used in 21..=25 {
        let reply = public(&sim, "/api/v3/ping").await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("X-MBX-USED-WEIGHT-1M"), Some(used.to_string().as_str()));
    }
    for path in ["/api/v3/ping", "/api/v3/no-such-path", "/api/v3/ping"] {
        let reply = public(&sim, path).await;
        assert_eq!(reply.refusal(), (429, -1003), "{path}");
        let wait: u64 = reply.header("Retry-After").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait));
    }
    let banned = public(&sim, "/api/v3/ping").await;
    assert_eq!(banned.refusal(), (418, -1003));
    let wait: u64 = banned.header("Retry-After").unwrap().parse().unwrap();
    assert!((1..=120).contains(&wait));
    // The ban is the address's: the wallet API is closed too.
    let reply = private(&sim, "binance-spot", "/sapi/v1/account/apiRestrictions", "").await;
    assert_eq!(reply.status, 418);
}

#[tokio::test]
async fn the_wallets_budgets_are_counted_apart() {
    let budgets = Budgets { sapi_ip_weight: 2, ..Budgets::default() };
    let sim = start_with("quirks.json", options(budgets)).await;
    let restrictions = "/sapi/v1/account/apiRestrictions";
    for expected in [200, 200, 429] {
        assert_eq!(private(&sim, "binance-spot", restrictions, "").await.status, expected);
    }
    let account = private(&sim, "binance-spot", "/api/v3/account", "").await;
    assert_eq!(account.status, 200);
    assert_eq!(account.header("X-MBX-USED-WEIGHT-1M"), Some("20"));
}

#[tokio::test]
async fn withdrawals_are_charged_to_the_user() {
    let sim = start_with("quirks.json", Options::default()).await;
    let history = "/sapi/v1/capital/withdraw/history";
    for _ in 0..10 {
        assert_eq!(private(&sim, "binance-spot", history, "").await.status, 200);
    }
    let reply = private(&sim, "binance-spot", history, "").await;
    assert_eq!(reply.refusal(), (429, -1003));
    assert_eq!(reply.header("X-SAPI-USED-UID-WEIGHT-1M"), Some("198000"));
    assert_eq!(private(&sim, "kraken-spot", history, "").await.status, 200);
}
