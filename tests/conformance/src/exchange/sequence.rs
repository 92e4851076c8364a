//! A sequence: the connector asks, the case's steps answer, until a page is
//! the last. The retries here wait for nothing.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, anyhow, bail};
use exchanges::{
    Connector, Context, Credentials, Fact, FillsFrom, Page, Query, Retry, UnixMillis, Window,
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{Recorded, context, pairs, plain, text};

/// How often one request is repeated.
const ATTEMPTS: usize = 5;

/// How many requests one case may need.
const REQUESTS_MAX: usize = 1000;

/// Any instant will do: the mock does not look at it.
const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

pub(super) fn sequence(connector: &dyn Connector, case: &Value) -> Result<Value> {
    let context = context(case)?;
    let mut mock = Mock::of(case)?;
    let mut pages = Vec::new();
    let start = Start::of(case);
    for first in first_queries(connector, case, &start)? {
        let mut next = Some(first);
        while let Some(query) = next {
            let page = mock.ask(connector, &query, &context)?;
            next = page.next;
            pages.extend(page.facts);
        }
    }
    let mut ids = BTreeSet::new();
    let mut keys = BTreeSet::new();
    let mut sum: BTreeMap<String, Decimal> = BTreeMap::new();
    for fact in pages {
        match fact {
            Fact::Fill(fill) => {
                ids.insert(fill.id);
            }
            Fact::Transfer(transfer) => {
                ids.insert(transfer.id);
            }
            Fact::Income(income) => {
                if keys.insert(income.key) {
                    let total = sum.entry(income.asset).or_default();
                    *total = total.checked_add(income.amount).context("sum")?;
                }
            }
            other => bail!("unexpected {other:?}"),
        }
    }
    if text(case, "method")?.contains("income") {
        let sum: BTreeMap<String, String> =
            sum.into_iter().map(|(asset, total)| (asset, total.normalize().to_string())).collect();
        return Ok(json!({ "keys": keys, "sum": sum, "requests": mock.requests }));
    }
    let last = ids.iter().filter_map(|id| id.parse::<u64>().ok()).max();
    let next = last.and_then(|last| last.checked_add(1)).or(start.id);
    Ok(json!({
        "ids": ids,
        "requests": mock.requests,
        "next_from_id": next.map(|id| id.to_string()),
    }))
}

/// Where a case says that reading begins.
#[derive(Default)]
struct Start {
    id: Option<u64>,
    from: Option<u64>,
    until: Option<u64>,
}

impl Start {
    fn of(case: &Value) -> Self {
        let mut start = Self::default();
        let given = case.pointer("/context/start").and_then(Value::as_object);
        for (name, value) in given.into_iter().flatten() {
            let Ok(number) = plain(value).parse() else { continue };
            if name.contains("id") {
                start.id = Some(number);
            } else if name.contains("end") || name.contains("until") {
                start.until = Some(number);
            } else {
                start.from = Some(number);
            }
        }
        start
    }

    fn window(&self) -> Window {
        Window::new(
            UnixMillis(self.from.unwrap_or(0)),
            UnixMillis(self.until.unwrap_or_else(|| self.from.unwrap_or(NOW.0))),
        )
    }
}

fn first_queries(connector: &dyn Connector, case: &Value, start: &Start) -> Result<Vec<Query>> {
    let limit = case.pointer("/context/page_limit").and_then(Value::as_u64).unwrap_or(1000);
    let limit = u16::try_from(limit)?;
    let windows = |like: &Query| -> Vec<Window> {
        let max = connector.window_max(like).unwrap_or(std::time::Duration::MAX);
        start.window().split(max).collect()
    };
    let method = text(case, "method")?;
    if method.contains("income") {
        let at = |time: Option<u64>| time.map(UnixMillis);
        let (start, end) = (at(start.from), at(start.until));
        return Ok(vec![Query::Income { start, end, page: 1, limit }]);
    }
    if method.contains("deposit") {
        let like = Query::deposits(start.window());
        return Ok(windows(&like).into_iter().map(Query::deposits).collect());
    }
    if method.contains("withdraw") {
        let like = Query::withdrawals(start.window());
        return Ok(windows(&like).into_iter().map(Query::withdrawals).collect());
    }
    if !method.contains("fill") {
        bail!("unknown method {method}");
    }
    let symbol = symbol(case).context("no symbol")?;
    let fills = |from| Query::Fills { symbol: symbol.clone(), from, limit };
    if start.from.is_some() && start.id.is_none() {
        let like = fills(FillsFrom::Window(start.window()));
        let windows = windows(&like).into_iter();
        return Ok(windows.map(|window| fills(FillsFrom::Window(window))).collect());
    }
    Ok(vec![fills(FillsFrom::Id(start.id.unwrap_or(0)))])
}

/// The pair a sequence is about: from its context, else from its first step.
fn symbol(case: &Value) -> Option<String> {
    let places = ["/context/start/symbol", "/context/symbol", "/steps/0/match/query/symbol"];
    let place = |at: &&str| case.pointer(at).and_then(Value::as_str).map(str::to_owned);
    places.iter().find_map(place)
}

/// The exchange of a sequence: each step answers once.
struct Mock<'a> {
    steps: Vec<Option<&'a Value>>,
    requests: usize,
}

impl<'a> Mock<'a> {
    fn of(case: &'a Value) -> Result<Self> {
        let steps = case.get("steps").and_then(Value::as_array).context("steps")?;
        Ok(Self { steps: steps.iter().map(Some).collect(), requests: 0 })
    }

    /// Asks until there is a page; waits for nothing.
    fn ask(&mut self, connector: &dyn Connector, query: &Query, context: &Context) -> Result<Page> {
        let credentials = Credentials { key: "key", secret: b"secret", passphrase: None };
        let mut failure = anyhow!("no attempt");
        for _ in 0..ATTEMPTS {
            let request = connector.request(query, Some(&credentials), NOW)?;
            let target = request.path_and_query();
            let recorded = self.reply(&target)?;
            match connector.read(query, recorded.reply(), context) {
                Ok(page) => return Ok(page),
                Err(error) if error.retry() == Retry::Never => return Err(error.into()),
                Err(error) => failure = error.into(),
            }
        }
        Err(failure)
    }

    fn reply(&mut self, target: &str) -> Result<Recorded> {
        self.requests = self.requests.saturating_add(1);
        if self.requests > REQUESTS_MAX {
            bail!("too many requests");
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let sent = pairs(query);
        let step = self
            .steps
            .iter_mut()
            .find(|step| step.is_some_and(|step| answers(step, path, &sent)))
            .and_then(Option::take)
            .context("no step answers this request")?;
        Recorded::of(step.get("response").context("response")?)
    }
}

fn answers(step: &Value, path: &str, sent: &BTreeMap<String, String>) -> bool {
    let wanted = step.pointer("/match/query").and_then(Value::as_object);
    step.pointer("/match/path").and_then(Value::as_str) == Some(path)
        && wanted
            .into_iter()
            .flatten()
            .all(|(name, value)| sent.get(name).is_some_and(|found| *found == plain(value)))
}
