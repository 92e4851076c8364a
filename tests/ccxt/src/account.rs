//! What a reader found, in one form for both.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

/// Everything that was read. Lists are sorted; zeros are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    pub balances: BTreeMap<String, Held>,
    pub trades: Vec<Trade>,
    pub deposits: Vec<Transfer>,
    pub withdrawals: Vec<Transfer>,
    pub tickers: Vec<Ticker>,
}

/// One asset. Of futures `total` is the equity and `used` is not compared: ccxt has the
/// initial margin there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub free: Decimal,
    pub used: Option<Decimal>,
    pub total: Decimal,
    /// Borrowed and interest together.
    pub debt: Decimal,
}

impl Held {
    fn is_zero(&self) -> bool {
        [self.free, self.used.unwrap_or_default(), self.total, self.debt]
            .iter()
            .all(Decimal::is_zero)
    }
}

/// An amount of an asset.
pub type Money = (String, Decimal);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trade {
    pub symbol: String,
    pub id: String,
    pub order: String,
    pub side: String,
    pub price: Decimal,
    pub amount: Decimal,
    pub fee: Option<Money>,
    pub liquidity: Option<String>,
    pub at_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Transfer {
    pub id: String,
    pub txid: Option<String>,
    pub asset: String,
    pub amount: Decimal,
    pub fee: Option<Money>,
    pub status: String,
    pub at_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticker {
    pub symbol: String,
    pub last: Option<Decimal>,
    pub bid: Option<Decimal>,
    pub ask: Option<Decimal>,
    pub at_ms: Option<u64>,
}

impl Account {
    /// The form in which two accounts are compared.
    #[must_use]
    pub fn settled(mut self) -> Self {
        self.balances.retain(|_, held| !held.is_zero());
        self.trades.sort();
        self.deposits.sort();
        self.withdrawals.sort();
        self.tickers.sort();
        self
    }

    /// How many facts there are of each kind: balances, trades, deposits, withdrawals, tickers.
    pub fn counts(&self) -> [usize; 5] {
        [
            self.balances.len(),
            self.trades.len(),
            self.deposits.len(),
            self.withdrawals.len(),
            self.tickers.len(),
        ]
    }
}
