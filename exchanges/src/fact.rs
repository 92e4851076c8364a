//! What an exchange can tell us, in one vocabulary.
//!
//! Amounts are decimals as the exchange wrote them, times are milliseconds,
//! ids are texts, assets are canonical codes, symbols are `BASE/QUOTE`,
//! `BASE/QUOTE:SETTLE` (perpetual) or `BASE/QUOTE:SETTLE-YYMMDD` (dated).

use std::fmt;
use std::sync::Arc;

use rust_decimal::Decimal;

use crate::UnixMillis;
use crate::permissions::Permissions;
use crate::query::Query;

/// The facts of one reply.
#[derive(Debug, Default)]
pub struct Page {
    /// What was said, in the exchange's order.
    pub facts: Vec<Fact>,
    /// What must be asked to have the rest; `None` when this was all of it.
    pub next: Option<Query>,
    /// How many rows the whole list has, where the exchange counts them.
    pub count: Option<u64>,
    /// The last bar that will not change any more, where the exchange says.
    pub last_committed: Option<UnixMillis>,
}

impl Page {
    pub(crate) fn new(facts: Vec<Fact>, next: Option<Query>) -> Self {
        Self { facts, next, count: None, last_committed: None }
    }

    pub(crate) fn last(facts: Vec<Fact>) -> Self {
        Self::new(facts, None)
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
    /// A wallet whose transfers are listed under its own id.
    Wallet(Wallet),
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
    /// What the whole account is worth in the exchange's reckoning.
    AccountValuation(AccountValuation),
    /// A booking of a spot account.
    LedgerEntry(LedgerEntry),
    /// A booking of a futures account, with what it did to the balance.
    AccountLogEntry(AccountLogEntry),
    /// What one wallet of a futures account holds of one asset.
    Collateral(Collateral),
    /// A wallet in which several assets secure all positions together.
    CollateralPool(CollateralPool),
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

impl Instrument {
    /// Its last price.
    pub(crate) fn price(&self, price: Decimal, at: Option<UnixMillis>) -> Price {
        Price {
            symbol: self.symbol.clone(),
            base: self.base.clone(),
            quote: self.quote.clone(),
            price,
            at,
        }
    }

    /// Its ticker, in which nothing is said yet.
    pub(crate) fn ticker(&self) -> Ticker {
        Ticker {
            symbol: self.symbol.clone(),
            base: self.base.clone(),
            quote: self.quote.clone(),
            last: None,
            bid: None,
            ask: None,
            mark: None,
            at: None,
        }
    }

    /// A pair that is bought and sold for itself.
    pub fn spot(raw: &str, base: &str, quote: &str) -> Self {
        Self {
            raw: raw.to_owned(),
            aliases: Vec::new(),
            symbol: format!("{base}/{quote}"),
            base: base.to_owned(),
            quote: quote.to_owned(),
            settle: None,
            kind: InstrumentKind::Spot,
            contract_size: Decimal::ONE,
            inverse: false,
        }
    }

    /// A pair that is no longer listed, from a name of the form `BASE-QUOTE`.
    pub(crate) fn unlisted(name: &str) -> Option<Self> {
        let (base, quote) = name.split_once('-')?;
        let pair = !base.is_empty() && !quote.is_empty() && !quote.contains('-');
        pair.then(|| Self::spot(name, base, quote))
    }
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
    /// Last trade, if there was one.
    pub last: Option<Decimal>,
    /// Best bid, if any.
    pub bid: Option<Decimal>,
    /// Best ask, if any.
    pub ask: Option<Decimal>,
    /// Price that positions are valued at, where the exchange says.
    pub mark: Option<Decimal>,
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
    /// The id of a portfolio, of which a user may have several.
    PortfolioUuid,
}

impl IdentityKind {
    /// The word in replies and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uid => "uid",
            Self::PortfolioUuid => "portfolio_uuid",
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

/// A wallet whose transfers are listed under its own id
/// ([`Query::Transfers`]), also where it is empty.
#[derive(Clone, PartialEq, Eq)]
pub struct Wallet {
    /// The exchange's id.
    pub id: String,
    /// The asset in it, by its canonical code.
    pub asset: String,
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wallet").field("asset", &self.asset).finish_non_exhaustive()
    }
}

impl Balance {
    /// What is owned outright: nothing of it is borrowed.
    pub(crate) fn owned(
        asset: String,
        wallet: &str,
        free: Decimal,
        used: Decimal,
        total: Decimal,
    ) -> Self {
        Self {
            asset,
            wallet: wallet.to_owned(),
            free,
            used,
            total,
            borrowed: Decimal::ZERO,
            interest: Decimal::ZERO,
            net: total,
        }
    }

    /// The fact, unless the row is zero throughout.
    pub(crate) fn unless_zero(self) -> Option<Fact> {
        let zero =
            [self.free, self.used, self.borrowed, self.interest].iter().all(Decimal::is_zero);
        (!zero).then_some(Fact::Balance(self))
    }
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
    /// The trade, where several rows can belong to one.
    pub trade_id: Option<String>,
    /// What sort of row, in the exchange's own word.
    pub fill_type: Option<String>,
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
    /// Funding not yet booked.
    pub unrealized_funding: Option<Decimal>,
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

/// What the exchange says an account is worth, in one asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountValuation {
    /// All balances.
    pub equivalent_balance: Decimal,
    /// Balances that may secure a margin position.
    pub trade_balance: Decimal,
    /// Bound by open positions.
    pub margin_used: Decimal,
    /// Of open positions.
    pub unrealized_pnl: Decimal,
    /// Trade balance and unrealized profit.
    pub equity: Decimal,
    /// Worth of open positions now.
    pub floating_valuation: Decimal,
}

/// What a booking is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookingClass {
    /// One side of an execution.
    Trade,
    /// From outside.
    Deposit,
    /// To outside.
    Withdrawal,
    /// Staking and earning.
    Reward,
    /// Between the customer's own wallets.
    InternalTransfer,
    /// A margin position opened, closed or settled.
    Margin,
    /// What borrowing costs.
    MarginFee,
    /// Moved for another reason: to or from another account, an airdrop.
    Transfer,
    /// Corrected by the exchange.
    Adjustment,
    /// Paid between longs and shorts.
    Funding,
    /// One asset into another.
    Conversion,
    /// On collateral.
    Interest,
    /// A contract ended or its profit was paid out.
    Settlement,
    /// None of the above.
    Other,
}

impl BookingClass {
    /// The word in conformance results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trade => "trade",
            Self::Deposit => "deposit",
            Self::Withdrawal => "withdrawal",
            Self::Reward => "reward",
            Self::InternalTransfer => "internal_transfer",
            Self::Margin => "margin",
            Self::MarginFee => "margin_fee",
            Self::Transfer => "transfer",
            Self::Adjustment => "adjustment",
            Self::Funding => "funding",
            Self::Conversion => "conversion",
            Self::Interest => "interest",
            Self::Settlement => "settlement",
            Self::Other => "other",
        }
    }
}

/// A booking of a spot account: every change of a balance has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Unique.
    pub id: String,
    /// What caused it; bookings of one cause share it.
    pub ref_id: String,
    /// What it is.
    pub class: BookingClass,
    /// In the exchange's word.
    pub raw_type: String,
    /// The exchange's finer word, if any.
    pub raw_subtype: Option<String>,
    /// Canonical code.
    pub asset: String,
    /// As in [`Balance::wallet`].
    pub wallet: String,
    /// Signed, before the fee.
    pub amount: Decimal,
    /// Positive is paid.
    pub fee: Decimal,
    /// `amount - fee`.
    pub balance_change: Decimal,
    /// When.
    pub at: UnixMillis,
}

/// A booking of a futures account, with what it did to the balance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountLogEntry {
    /// Unique.
    pub id: String,
    /// What caused it.
    pub booking_uid: Option<String>,
    /// The execution it belongs to: a [`Fill`]'s id.
    pub execution: Option<String>,
    /// What it is.
    pub class: BookingClass,
    /// In the exchange's word.
    pub raw_type: String,
    /// Canonical code.
    pub asset: String,
    /// New balance less old one.
    pub balance_change: Decimal,
    /// Positive is paid.
    pub fee: Option<Decimal>,
    /// Funding booked with it; positive is received.
    pub funding: Option<Decimal>,
    /// Profit booked with it.
    pub realized_pnl: Option<Decimal>,
    /// Our symbol; the exchange's if it is unknown; `None` if it names none.
    pub symbol: Option<String>,
    /// When.
    pub at: UnixMillis,
}

/// What one wallet of a futures account holds of one asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collateral {
    /// Canonical code.
    pub asset: String,
    /// `cash`, `flex`, or the margin account's name.
    pub wallet: String,
    /// Held.
    pub quantity: Decimal,
    /// Not bound as margin.
    pub available: Decimal,
    /// With open positions, where the wallet has its own.
    pub portfolio_value: Option<Decimal>,
    /// Of open positions, where the wallet has its own.
    pub unrealized_pnl: Option<Decimal>,
}

/// A wallet in which several assets secure all positions together; all in
/// US dollars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollateralPool {
    /// All assets.
    pub balance_value_usd: Decimal,
    /// With open positions.
    pub portfolio_value_usd: Decimal,
    /// Of open positions.
    pub unrealized_pnl_usd: Decimal,
    /// Of open positions.
    pub unrealized_funding_usd: Decimal,
    /// Balance, unrealized profit and unrealized funding.
    pub equity_usd: Decimal,
}
