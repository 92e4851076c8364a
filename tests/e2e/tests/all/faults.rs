//! An exchange that misbehaves: what a session shows of it, and that others go on.

use e2e::customer::{Customer, Session};
use e2e::process::wait_until;
use e2e::world::{Options, TWO_ACCOUNTS, World};
use serde_json::{Value, json};

/// Two customers with an account each, polled in one world.
struct Two {
    world: World,
    faulty: (Customer, Session),
    other: (Customer, Session),
}

impl Two {
    fn connected() -> Self {
        let world = World::start(Options { scenario: TWO_ACCOUNTS, ..Options::default() });
        let (one, two) = (Customer::of(&world, 1), Customer::of(&world, 2));
        let (first, second) = (one.open(&world.key(0)), two.open(&world.key(1)));
        let it = Self { world, faulty: (one, first), other: (two, second) };
        it.goes_on(&it.faulty);
        it.goes_on(&it.other);
        it
    }

    fn account(of: &(Customer, Session)) -> Value {
        of.1.status(&of.0)["accounts"][0].clone()
    }

    /// More polls become complete.
    fn goes_on(&self, of: &(Customer, Session)) {
        let before = Self::account(of)["polls_complete"].as_u64().unwrap();
        of.1.until(&of.0, "complete poll", |account| {
            account["polls_complete"].as_u64().unwrap() > before + 1
        });
    }

    /// Injects a fault until the session it befalls shows a category, and ends it.
    fn shows(&self, fault: &Value, category: &str) {
        self.world
            .inject(&json!([{"host": "api.binance.com", "account": "first", "fault": fault}]));
        let (customer, session) = &self.faulty;
        session.until(customer, &format!("{category} for {fault}"), |account| {
            account["last_error"] == category
        });
        self.world.end_faults();
        self.goes_on(&self.faulty);
        session.until(customer, "recovery", |account| account["last_error"].is_null());
    }
}

#[test]
fn faults_of_one_account_show_as_categories_and_leave_the_other_untouched() {
    let two = Two::connected();
    let busy = json!({"kind": "status", "status": 503});
    two.shows(&busy, "unavailable");
    two.shows(&json!({"kind": "truncate"}), "unavailable");
    two.shows(&json!({"kind": "reset"}), "unavailable");
    let other = Two::account(&two.other);
    assert_eq!(other["polls_incomplete"], 0, "{other}");
    assert_eq!(other["last_error"], Value::Null);
    let faulty = Two::account(&two.faulty);
    assert!(faulty["polls_incomplete"].as_u64() >= Some(3), "{faulty}");
}

#[test]
fn limits_and_bans_show_as_throttled_and_pass() {
    // A host that is left alone costs no time, so the scenario's is told by the scenario.
    let world = World::start(Options::default());
    let (_, clock) = world.control("GET", "/clock", &Value::Null);
    let clock: Value = serde_json::from_str(&clock).unwrap();
    let at = |name: &str| clock[name].as_u64().unwrap();
    let (start, end, tick) = (at("start_ms"), at("end_ms"), at("interval_ms"));
    let status = |status: u16, secs: u64| json!({"kind": "status", "status": status, "retry_after_secs": secs});
    // Twice in the middle, and at the end.
    world.inject(&json!([
        {"host": "api.binance.com", "path": "/api/v3/account",
         "from_ms": start + 4 * tick, "until_ms": start + 5 * tick, "fault": status(429, 60)},
        {"host": "api.binance.com", "path": "/api/v3/account",
         "from_ms": start + 9 * tick, "until_ms": start + 10 * tick, "fault": status(418, 120)},
        {"host": "api.binance.com", "path": "/api/v3/account",
         "from_ms": end, "fault": status(429, 60)},
    ]));
    let customer = Customer::of(&world, 1);
    let session = customer.open(&world.key(0));
    session.until(&customer, "end of the scenario", |account| {
        let polls = |name: &str| account[name].as_u64().unwrap();
        polls("polls_complete") + polls("polls_incomplete") == (end - start) / tick + 1
    });
    let account = session.status(&customer)["accounts"][0].clone();
    assert_eq!(account["last_error"], "throttled", "{account}");
    assert_eq!(account["polls_incomplete"], 3, "{account}");
    assert_eq!(account["last_complete_poll"], end - tick, "{account}");
}

#[test]
fn a_page_instead_of_an_answer_is_no_answer() {
    let two = Two::connected();
    two.shows(&json!({"kind": "html", "status": 502}), "unavailable");
    two.goes_on(&two.other);
}

#[test]
fn a_hanging_exchange_keeps_nobody_from_being_answered() {
    let two = Two::connected();
    two.world.inject(&json!([
        {"host": "api.binance.com", "path": "/api/v3/account", "account": "first",
         "fault": {"kind": "hang"}}
    ]));
    wait_until("a request that hangs", || {
        let (_, faults) = two.world.control("GET", "/faults", &Value::Null);
        let faults: Value = serde_json::from_str(&faults).unwrap();
        faults[0]["hits"].as_u64() >= Some(1)
    });
    assert_eq!(two.other.1.status(&two.other.0)["state"], "active");
    assert_eq!(two.faulty.1.status(&two.faulty.0)["state"], "active");
    let (status, _) = two.faulty.1.ask(&two.faulty.0, "GET", "/v1/session/report");
    assert_eq!(status, 200, "what is known is reported meanwhile");
    two.world.end_faults();
    two.goes_on(&two.faulty);
    two.goes_on(&two.other);
}

#[test]
fn an_exchange_whose_clock_is_a_little_off_is_followed() {
    let two = Two::connected();
    two.world.inject(&json!([
        {"host": "api.binance.com", "fault": {"kind": "clock_skew", "ms": 8000}}
    ]));
    two.goes_on(&two.faulty);
    two.goes_on(&two.other);
    let (status, _) = two.faulty.1.ask(&two.faulty.0, "GET", "/v1/session/report");
    assert_eq!(status, 200);
}

#[test]
fn a_key_that_is_widened_or_gone_ends_its_own_account_alone() {
    let two = Two::connected();
    // The exchange no longer knows the key: its own words for that.
    two.world.inject(&json!([
        {"host": "api.binance.com", "account": "first",
         "fault": {"kind": "body", "status": 401,
                   "body": "{\"code\":-2015,\"msg\":\"Invalid API-key, IP, or permissions for action.\"}"}}
    ]));
    let (customer, session) = &two.faulty;
    session.until(customer, "refusal", |account| !account["last_error"].is_null());
    two.goes_on(&two.other);
    let other = Two::account(&two.other);
    assert_eq!(other["polls_incomplete"], 0, "{other}");
}
