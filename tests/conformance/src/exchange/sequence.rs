//! A sequence: the connector asks, the case's steps answer, until a page is
//! the last. The retries here wait for nothing.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, anyhow, bail};
use exchanges::{
    Connector, Context, Credentials, Fact, Nonce, Page, Query, Retry, UnixMillis, Window,
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::Adapter;
use super::case::{Recorded, context, pairs, plain, text};

/// How often one request is repeated.
const ATTEMPTS: usize = 5;

/// How many requests one case may need.
const REQUESTS_MAX: usize = 1000;

/// Any instant will do: the mock does not look at it.
const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

pub(super) fn sequence(
    adapter: &dyn Adapter,
    connector: &dyn Connector,
    case: &Value,
) -> Result<Value> {
    let context = context(case)?;
    let mut mock = Mock::of(adapter, case)?;
    let mut pages = Vec::new();
    let start = Start::of(case);
    for first in adapter.first_queries(connector, case, &start)? {
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
            Fact::LedgerEntry(entry) => {
                ids.insert(entry.id);
            }
            Fact::AccountLogEntry(entry) => {
                ids.insert(entry.id);
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
pub(super) struct Start {
    pub(super) id: Option<u64>,
    pub(super) from: Option<u64>,
    pub(super) until: Option<u64>,
    /// Rows in one page.
    pub(super) page_limit: Option<u16>,
}

impl Start {
    fn of(case: &Value) -> Self {
        let limit = case.pointer("/context/page_limit").and_then(Value::as_u64);
        let page_limit = limit.and_then(|limit| u16::try_from(limit).ok());
        let mut start = Self { page_limit, ..Self::default() };
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

    /// The time that is asked about; the beginning up to [`NOW`] if the case
    /// does not say.
    pub(super) fn window(&self) -> Window {
        Window::new(
            UnixMillis(self.from.unwrap_or(0)),
            UnixMillis(self.until.unwrap_or_else(|| self.from.unwrap_or(NOW.0))),
        )
    }

    /// One query for each window that the exchange accepts.
    pub(super) fn queries(
        &self,
        connector: &dyn Connector,
        query: impl Fn(Window) -> Query,
    ) -> Vec<Query> {
        let max = connector.window_max(&query(self.window()));
        self.window().split(max.unwrap_or(std::time::Duration::MAX)).map(query).collect()
    }
}

/// The exchange of a sequence: each step answers once.
struct Mock<'a> {
    credentials: Credentials<'static>,
    steps: Vec<Option<&'a Value>>,
    requests: usize,
}

impl<'a> Mock<'a> {
    fn of(adapter: &dyn Adapter, case: &'a Value) -> Result<Self> {
        let steps = case.get("steps").and_then(Value::as_array).context("steps")?;
        let credentials = adapter.credentials();
        Ok(Self { credentials, steps: steps.iter().map(Some).collect(), requests: 0 })
    }

    /// Asks until there is a page; waits for nothing.
    fn ask(&mut self, connector: &dyn Connector, query: &Query, context: &Context) -> Result<Page> {
        let mut failure = anyhow!("no attempt");
        for _ in 0..ATTEMPTS {
            let credentials = Some(&self.credentials);
            let request = connector.request_with(query, credentials, NOW, &Nonce([0; 16]))?;
            let target = request.path_and_query();
            let form = std::str::from_utf8(request.body()).unwrap_or_default();
            let recorded = self.reply(&target, form)?;
            match connector.read(query, recorded.reply(), context) {
                Ok(page) => return Ok(page),
                Err(error) if error.retry() == Retry::Never => return Err(error.into()),
                Err(error) => failure = error.into(),
            }
        }
        Err(failure)
    }

    fn reply(&mut self, target: &str, form: &str) -> Result<Recorded> {
        self.requests = self.requests.saturating_add(1);
        if self.requests > REQUESTS_MAX {
            bail!("too many requests");
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (query, mut form) = (pairs(query), pairs(form));
        // Kraken's first page.
        form.entry("ofs".to_owned()).or_insert_with(|| "0".to_owned());
        let step = self
            .steps
            .iter_mut()
            .find(|step| step.is_some_and(|step| answers(step, path, [&query, &form])))
            .and_then(Option::take)
            .context("no step answers this request")?;
        Recorded::of(step.get("response").context("response")?)
    }
}

fn answers(step: &Value, path: &str, sent: [&BTreeMap<String, String>; 2]) -> bool {
    let holds = |place: &str, sent: &BTreeMap<String, String>| {
        let wanted = step.pointer(place).and_then(Value::as_object);
        wanted
            .into_iter()
            .flatten()
            .all(|(name, value)| sent.get(name).is_some_and(|found| *found == plain(value)))
    };
    let [query, form] = sent;
    step.pointer("/match/path").and_then(Value::as_str) == Some(path)
        && holds("/match/query", query)
        && holds("/match/form", form)
}
