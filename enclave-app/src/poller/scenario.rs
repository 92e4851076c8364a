//! The scenario's clock: one clock for exchange, enclave and customer, which stands still until
//! every account has been polled.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use protocol::time::UnixMillis;
use reqwest::Method;
use serde::Deserialize;
use tokio::sync::Notify;
use tracing::warn;

use crate::clock::ScenarioClock;
use crate::egress::{Egress, FetchError, Http, SCENARIO_HOST};

/// The clock cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// No answer.
    #[error("the scenario's clock cannot be read: {0}")]
    Fetch(#[from] FetchError),
    /// An answer that is no reading.
    #[error("the scenario's clock answers something else")]
    Answer,
}

/// Between two tries to move the clock.
const PAUSE: Duration = Duration::from_millis(200);

/// What the simulator says of its clock; it says more, which is not our business.
#[derive(Deserialize)]
struct Reading {
    now_ms: u64,
}

/// Sets the clock for the first time.
pub async fn begin(egress: &Egress, clock: &ScenarioClock) -> Result<(), ScenarioError> {
    clock.set(call(&egress.http(&[SCENARIO_HOST]), Method::GET, "/clock", Vec::new()).await?);
    Ok(())
}

/// Which portfolios have finished which round.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    finished: Mutex<BTreeMap<u64, Option<UnixMillis>>>,
    changed: Notify,
}

impl Rounds {
    /// From now on the clock waits for `portfolio`.
    pub(super) fn enter(&self, portfolio: u64) {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner).insert(portfolio, None);
    }

    /// The clock no longer waits for it.
    pub(super) fn leave(&self, portfolio: u64) {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner).remove(&portfolio);
        self.changed.notify_one();
    }

    /// The round of `tick` is over.
    pub(super) fn finish(&self, portfolio: u64, tick: UnixMillis) {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner).insert(portfolio, Some(tick));
        self.changed.notify_one();
    }

    fn all_at(&self, now: UnixMillis) -> bool {
        let finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        !finished.is_empty() && finished.values().all(|tick| *tick >= Some(now))
    }

    /// Moves the clock on whenever every portfolio has finished its round. The clock stands
    /// still while a customer is connected: who reads it and then asks gets one time for both.
    pub(super) async fn conduct(&self, http: Http, clock: &ScenarioClock) {
        loop {
            self.changed.notified().await;
            loop {
                let gate = clock.stand_still().await;
                let now = clock.seen();
                if !self.all_at(now) {
                    break;
                }
                let body = format!("{{\"tick_ms\":{}}}", now.0).into_bytes();
                match call(&http, Method::POST, "/clock/round", body).await {
                    Ok(next) if next > now => clock.set(next),
                    // The scenario is over: the clock stays.
                    Ok(_) => return,
                    Err(error) => {
                        warn!(%error, "the scenario stands still");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                drop(gate);
            }
        }
    }
}

async fn call(
    http: &Http,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> Result<UnixMillis, ScenarioError> {
    let answer = http.plain(SCENARIO_HOST, method, path, body).await?;
    serde_json::from_slice::<Reading>(answer.reply().body)
        .map(|reading| UnixMillis(reading.now_ms))
        .map_err(|_| ScenarioError::Answer)
}
