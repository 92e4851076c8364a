//! Our connectors and ccxt read the same accounts of the simulator and find the same.

#![expect(clippy::unwrap_used, reason = "a test's helper fails like the test")]

use std::path::Path;

use ccxt::account::Account;
use ccxt::{Question, Subject, ours, theirs};
use exchange_sim::keys::KeyForm;
use exchange_sim::scenario::Scenario;
use exchange_sim::{Options, Sim};
use exchanges::binance::Binance;
use exchanges::kraken::Kraken;
use exchanges::{Connector, Market, Venue};

const TRADED: [Question; 3] = [Question::Balances, Question::Trades, Question::Tickers];
const HELD: [Question; 2] = [Question::Balances, Question::Trades];
const ALL: [Question; 5] = [
    Question::Balances,
    Question::Trades,
    Question::Deposits,
    Question::Withdrawals,
    Question::Tickers,
];

async fn at_the_end(scenario: &str) -> Sim {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../exchange-sim/scenarios").join(scenario);
    let scenario = Scenario::read(&path).unwrap();
    let sim = Sim::start(&scenario, Options::default()).await.unwrap();
    sim.clock.advance_to(sim.clock.view().end_ms);
    sim
}

struct Case<'a> {
    name: &'a str,
    scenario: &'a str,
    account: &'a str,
    form: KeyForm,
    connector: &'a dyn Connector,
    symbols: &'a [&'a str],
    questions: &'a [Question],
    /// Balances, trades, deposits, withdrawals, tickers: so that nothing agrees by being empty.
    counts: [usize; 5],
    /// What ccxt's `has` denies.
    cannot: &'a [&'a str],
}

impl Case<'_> {
    /// Reads with both and compares.
    async fn agrees(&self) {
        let Some(python) = theirs::interpreter(self.name) else { return };
        let sim = at_the_end(self.scenario).await;
        let issue = || {
            let spec = serde_json::json!({ "account": self.account, "form": self.form });
            sim.add_key(serde_json::from_value(spec).unwrap()).unwrap()
        };
        let (key, their_key) = (issue(), issue());
        let subject = Subject {
            sim: &sim,
            key: &key,
            their_key: &their_key,
            venue: self.connector.venue(),
            market: self.connector.market(),
            symbols: self.symbols,
            questions: self.questions,
        };
        let mut ours: Account = ours::read(self.connector, &subject).await;
        if subject.venue == Venue::Kraken {
            // ccxt reads the status and not what Kraken says beside it.
            for transfer in ours.deposits.iter_mut().chain(&mut ours.withdrawals) {
                if transfer.status == "canceled" {
                    "failed".clone_into(&mut transfer.status);
                }
            }
        }
        let told = tokio::task::block_in_place(|| theirs::read(&python, &subject));
        assert_eq!(told.version, theirs::pinned_version());
        assert_eq!(told.cannot, self.cannot);
        assert_eq!(ours.counts(), self.counts);
        assert_eq!(ours.balances, told.account.balances);
        assert_eq!(ours.trades, told.account.trades);
        assert_eq!(ours.deposits, told.account.deposits);
        assert_eq!(ours.withdrawals, told.account.withdrawals);
        assert_eq!(ours.tickers, told.account.tickers);
        sim.stop().await;
    }
}

/// Cases of one user with five wallets.
async fn binance(
    name: &str,
    market: Market,
    symbols: &[&str],
    questions: &[Question],
    counts: [usize; 5],
) {
    let case = Case {
        name,
        scenario: "wallets.json",
        account: "ann:spot",
        form: KeyForm::Binance,
        connector: &Binance::new(market),
        symbols,
        questions,
        counts,
        cannot: &[],
    };
    case.agrees().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn binance_spot_reads_the_same_with_ccxt() {
    let name = "binance_spot_reads_the_same_with_ccxt";
    let symbols = ["BTC/USDT", "ETH/USDT"];
    binance(name, Market::Spot, &symbols, &ALL, [5, 3, 1, 2, 2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_hours_of_spot_trading_read_the_same_with_ccxt() {
    let case = Case {
        name: "eight_hours_of_spot_trading_read_the_same_with_ccxt",
        scenario: "spot-hours.json",
        account: "binance-spot",
        form: KeyForm::Binance,
        connector: &Binance::new(Market::Spot),
        symbols: &["BTC/USDT", "ETH/USDT", "BNB/USDT"],
        questions: &ALL,
        counts: [4, 28, 0, 0, 3],
        cannot: &[],
    };
    case.agrees().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn binance_cross_margin_reads_the_same_with_ccxt() {
    let name = "binance_cross_margin_reads_the_same_with_ccxt";
    binance(name, Market::MarginCross, &["BTC/USDT"], &HELD, [3, 1, 0, 0, 0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn binance_isolated_margin_reads_the_same_with_ccxt() {
    let name = "binance_isolated_margin_reads_the_same_with_ccxt";
    let symbols = ["BTC/USDT", "ETH/USDT"];
    binance(name, Market::MarginIsolated, &symbols, &HELD, [3, 2, 0, 0, 0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn binance_usdm_futures_read_the_same_with_ccxt() {
    let name = "binance_usdm_futures_read_the_same_with_ccxt";
    let symbols = ["BTC/USDT:USDT", "ETH/USDT:USDT"];
    binance(name, Market::UsdM, &symbols, &TRADED, [2, 4, 0, 0, 2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn binance_coinm_futures_read_the_same_with_ccxt() {
    let name = "binance_coinm_futures_read_the_same_with_ccxt";
    let symbols = ["BTC/USD:BTC", "BTC/USD:BTC-260626"];
    binance(name, Market::CoinM, &symbols, &TRADED, [1, 4, 0, 0, 2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kraken_spot_reads_the_same_with_ccxt() {
    let case = Case {
        name: "kraken_spot_reads_the_same_with_ccxt",
        scenario: "venues.json",
        account: "kim:spot",
        form: KeyForm::Kraken,
        connector: &Kraken,
        symbols: &["BTC/USD", "DOGE/USD", "ETH/EUR"],
        questions: &ALL,
        counts: [6, 57, 3, 2, 3],
        cannot: &[],
    };
    case.agrees().await;
}
