//! What an exchange can tell us, in one vocabulary.
//!
//! Amounts are decimals as the exchange wrote them, times are milliseconds,
//! ids are texts, assets are canonical codes, symbols are `BASE/QUOTE`,
//! `BASE/QUOTE:SETTLE` (perpetual) or `BASE/QUOTE:SETTLE-YYMMDD` (dated).

use std::sync::Arc;

use rust_decimal::Decimal;

use crate::UnixMillis;
use crate::permissions::Permissions;
use crate::query::Query;

/// The facts of one reply.
#[derive(Debug)]
pub struct Page {
    /// What was said, in the exchange's order.
    pub facts: Vec<Fact>,
    /// What must be asked to have the rest; `None` when this was all of it.
    pub next: Option<Query>,
}

impl Page {
    pub(crate) fn last(facts: Vec<Fact>) -> Self {
        Self { facts, next: None }
    }

    pub(crate) fn one(fact: Fact) -> Self {
        Self::last(vec![fact])
    }
}

/// One thing an exchange said.
#[derive(Debug)]
pub enum Fact {
    /// Its clock.
    ServerTime(UnixMillis),
    /// Whether it is open.
    SystemStatus(SystemStatus),
    /// A pair or contract it lists.
    Instrument(Instrument),
    /// A last price.
    Price(Price),
    /// Last, bid and ask.
    Ticker(Ticker),
    /// A bar.
    Candle(Candle),
    /// What the key may do.
    Permissions(Permissions),
    /// Who the account is.
    Identity(Identity),
    /// What the account holds of one asset in one wallet.
    Balance(Balance),
    /// One execution.
    Fill(Fill),
    /// A deposit or withdrawal.
    Transfer(Transfer),
    /// Collateral of a futures account in one asset.
    FuturesBalance(FuturesBalance),
    /// An open futures position.
    Position(Position),
    /// A booking of a futures account.
    Income(Income),
}

/// An amount of an asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    /// Canonical code.
    pub asset: String,
    /// Signed.
    pub amount: Decimal,
}

/// Whether the exchange is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemStatus {
    /// Open.
    Normal,
    /// Closed on purpose.
    Maintenance,
}

/// A pair or contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// The exchange's name, as queries take it.
    pub raw: String,
    /// Other names in its replies.
    pub aliases: Vec<String>,
    /// Our name.
    pub symbol: String,
    /// What is traded.
    pub base: String,
    /// What prices are in.
    pub quote: String,
    /// What profit is paid in; `None` for spot.
    pub settle: Option<String>,
    /// Spot, perpetual or dated.
    pub kind: InstrumentKind,
    /// Base units of one contract; quote units if `inverse`; 1 for spot.
    pub contract_size: Decimal,
    /// Whether a contract is worth a fixed amount of quote currency.
    pub inverse: bool,
}

/// What sort of instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstrumentKind {
    /// The asset itself.
    Spot,
    /// A contract without end.
    Perpetual,
    /// A contract with a delivery date.
    Future,
}

/// A last price: 1 `base` = `price` `quote`.
///
/// A pair that has never traded can have the price zero, which values
/// nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// The pair.
    pub symbol: String,
    /// What is priced.
    pub base: String,
    /// In what.
    pub quote: String,
    /// How much.
    pub price: Decimal,
    /// When, if the exchange says; else the time of the reply holds.
    pub at: Option<UnixMillis>,
}

/// Last, bid and ask of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticker {
    /// The pair.
    pub symbol: String,
    /// What is priced.
    pub base: String,
    /// In what.
    pub quote: String,
    /// Last trade.
    pub last: Decimal,
    /// Best bid, if any.
    pub bid: Option<Decimal>,
    /// Best ask, if any.
    pub ask: Option<Decimal>,
    /// When, if the exchange says.
    pub at: Option<UnixMillis>,
}

/// A bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candle {
    /// Its first millisecond.
    pub open_at: UnixMillis,
    /// First price.
    pub open: Decimal,
    /// Highest price.
    pub high: Decimal,
    /// Lowest price.
    pub low: Decimal,
    /// Last price.
    pub close: Decimal,
    /// Volume in base units.
    pub volume: Decimal,
}

/// Who an account is, in the exchange's own terms: never a label, never a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What the value is.
    pub kind: IdentityKind,
    /// The value.
    pub value: String,
}

/// What an exchange identifies accounts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityKind {
    /// A user id.
    Uid,
}

impl IdentityKind {
    /// The word in replies and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uid => "uid",
        }
    }
}

/// What an account holds of one asset in one wallet. Rows that are zero
/// throughout are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Canonical code.
    pub asset: String,
    /// `main`, `earn`, `margin_cross`, `margin_isolated:PAIR`.
    pub wallet: String,
    /// Available. Negative where the exchange says so.
    pub free: Decimal,
    /// Locked in orders.
    pub used: Decimal,
    /// `free + used`.
    pub total: Decimal,
    /// Owed.
    pub borrowed: Decimal,
    /// Owed on what is owed.
    pub interest: Decimal,
    /// `total - borrowed - interest`.
    pub net: Decimal,
}

/// Which way an execution went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Bought base.
    Buy,
    /// Sold base.
    Sell,
}

/// What a fill's amount counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmountUnit {
    /// Units of the base asset.
    Base,
    /// Contracts.
    Contract,
}

/// Whose order was there first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liquidity {
    /// The account's.
    Maker,
    /// The other's.
    Taker,
}

/// One execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Unique within the pair.
    pub id: String,
    /// The order it belongs to.
    pub order_id: String,
    /// What was traded.
    pub instrument: Arc<Instrument>,
    /// Which way.
    pub side: Side,
    /// Quote units for one base unit.
    pub price: Decimal,
    /// How much, in `amount_unit`.
    pub amount: Decimal,
    /// What `amount` counts.
    pub amount_unit: AmountUnit,
    /// Worth in quote currency.
    pub notional_quote: Decimal,
    /// Positive is paid, negative a rebate; `None` if the reply has none.
    pub fee: Option<Money>,
    /// Profit booked with it, where the exchange says.
    pub realized_pnl: Option<Money>,
    /// Maker or taker, where the exchange says.
    pub liquidity: Option<Liquidity>,
    /// When.
    pub at: UnixMillis,
}

/// Which way a transfer went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferKind {
    /// In.
    Deposit,
    /// Out.
    Withdrawal,
}

/// How far a transfer got. Only `Ok` is a cash flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferStatus {
    /// Final and done.
    Ok,
    /// May still become anything.
    Pending,
    /// Final and not done.
    Failed,
    /// Taken back.
    Canceled,
    /// A status we do not know.
    Unknown,
}

/// A deposit or withdrawal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The exchange's id, else the transaction's.
    pub id: String,
    /// Which way.
    pub kind: TransferKind,
    /// Canonical code.
    pub asset: String,
    /// Positive, without the fee.
    pub amount: Decimal,
    /// What it cost, if the reply says.
    pub fee: Option<Money>,
    /// How far it got.
    pub status: TransferStatus,
    /// Transaction on the chain.
    pub txid: Option<String>,
    /// Chain or payment method.
    pub network: Option<String>,
    /// Whether it stayed inside the exchange; `None` if unknown.
    pub internal: Option<bool>,
    /// When it was asked for or first seen.
    pub at: UnixMillis,
    /// When it was completed, if the reply says.
    pub completed_at: Option<UnixMillis>,
}

impl Transfer {
    /// What it did to the balance of `asset`, once it is `Ok`: a deposit
    /// credits the amount, a withdrawal debits amount and fee. `None` if the
    /// sum cannot be represented.
    pub fn balance_change(&self) -> Option<Decimal> {
        match self.kind {
            TransferKind::Deposit => Some(self.amount),
            TransferKind::Withdrawal => {
                let fee = self.fee.as_ref().filter(|fee| fee.asset == self.asset);
                let fee = fee.map_or(Decimal::ZERO, |fee| fee.amount);
                self.amount.checked_add(fee).and_then(|debit| Decimal::ZERO.checked_sub(debit))
            }
        }
    }
}

/// Collateral of a futures account in one asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FuturesBalance {
    /// Canonical code.
    pub asset: String,
    /// `usdm` or `coinm`.
    pub wallet: &'static str,
    /// Without open positions.
    pub wallet_balance: Decimal,
    /// Of open positions.
    pub unrealized_pnl: Decimal,
    /// The sum of both.
    pub equity: Decimal,
    /// Not bound as margin.
    pub available: Decimal,
}

/// Which way a position points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PositionSide {
    /// Gains when the price rises.
    Long,
    /// Gains when it falls.
    Short,
}

/// An open futures position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// What is held.
    pub instrument: Arc<Instrument>,
    /// Which way.
    pub side: PositionSide,
    /// How much, without sign.
    pub amount: Decimal,
    /// What `amount` counts.
    pub amount_unit: AmountUnit,
    /// Average price of entry.
    pub entry_price: Decimal,
    /// Price it is valued at.
    pub mark_price: Option<Decimal>,
    /// Profit not yet booked.
    pub unrealized_pnl: Option<Decimal>,
    /// What profit is paid in.
    pub settle: Option<String>,
}

/// What a booking is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncomeType {
    /// Paid between longs and shorts.
    Funding,
    /// Profit of closed positions.
    RealizedPnl,
    /// Trading fee.
    Commission,
    /// Between the customer's own wallets.
    Transfer,
    /// Fees returned.
    Rebate,
    /// One asset into another.
    Conversion,
    /// Cost of a liquidation.
    LiquidationFee,
    /// Given away.
    Bonus,
    /// None of the above.
    Other,
}

/// A booking of a futures account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Income {
    /// Unique: type, transaction, asset and trade.
    pub key: String,
    /// What it is.
    pub kind: IncomeType,
    /// In the exchange's word.
    pub raw_type: String,
    /// Canonical code.
    pub asset: String,
    /// Signed.
    pub amount: Decimal,
    /// Our symbol; the exchange's if it is unknown; `None` if it names none.
    pub symbol: Option<String>,
    /// When.
    pub at: UnixMillis,
}
