//! Key restrictions, deposits and withdrawals, fiat orders, the funding wallet.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use rust_decimal::Decimal;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use sha2::{Digest, Sha256};

use crate::keys::{Permissions, RIGHTS};
use crate::number::padded;
use crate::scenario::{FlowStatus, Stamp};
use crate::world::{Transfer, TransferVersion, Wallet};

use super::market::PLACES;
use super::params::Params;
use super::refusal::Refusal;
use super::{Answer, Call, json};

#[derive(Serialize)]
struct SystemStatus {
    status: u8,
    msg: &'static str,
}

pub(super) fn system_status(_: &Call<'_>) -> Answer {
    json(&SystemStatus { status: 0, msg: "normal" })
}

/// What a key may do, in the venue's order; rights nobody has heard of come last.
struct Restrictions<'a> {
    created_ms: u64,
    permissions: &'a Permissions,
}

impl Serialize for Restrictions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("ipRestrict", &false)?;
        map.serialize_entry("createTime", &self.created_ms)?;
        for (word, name) in RIGHTS {
            map.serialize_entry(name, &self.permissions.holds(word))?;
        }
        for name in self.permissions.unheard_of() {
            map.serialize_entry(name, &true)?;
        }
        map.end()
    }
}

pub(super) fn restrictions(call: &Call<'_>) -> Answer {
    let (key, _) = call.account()?;
    let created = call.world().started.plus_millis(-30 * DAY_MS);
    json(&Restrictions { created_ms: created.millis(), permissions: &key.permissions })
}

/// The scenario keeps everything in the spot wallet.
pub(super) fn funding(call: &Call<'_>) -> Answer {
    call.params.flag("needBtcValuation")?;
    if let Some(account) = call.wallet(Wallet::Spot)? {
        account.snapshot(call.now()).ok_or_else(Refusal::unavailable)?;
    }
    let none: [(); 0] = [];
    json(&none)
}

const DAY_MS: i64 = 24 * 3600 * 1000;
/// Days between `startTime` and `endTime` at most, and what is shown without them.
const WINDOW_DAYS: u64 = 90;
const WINDOW_MS: u64 = WINDOW_DAYS * 24 * 3600 * 1000;

/// Money that moves through banks: its transfers are fiat orders.
const FIAT: [&str; 15] = [
    "USD", "EUR", "GBP", "TRY", "BRL", "AUD", "PLN", "UAH", "RON", "CZK", "JPY", "ARS", "ZAR",
    "MXN", "COP",
];

fn is_fiat(asset: &str) -> bool {
    FIAT.contains(&asset)
}

fn window(params: &Params, start: &str, now: Stamp) -> Result<RangeInclusive<u64>, Refusal> {
    let end = params.number("endTime")?.unwrap_or_else(|| now.millis());
    let start =
        params.number(start)?.unwrap_or_else(|| now.millis().min(end).saturating_sub(WINDOW_MS));
    if end.saturating_sub(start) > WINDOW_MS {
        return Err(Refusal::window(WINDOW_DAYS * 24));
    }
    Ok(start..=end)
}

/// The transfers a request asks for, newest first.
fn page<'a>(
    call: &'a Call<'_>,
    deposit: bool,
    status: fn(FlowStatus) -> u8,
) -> Result<Vec<(&'a Transfer, &'a TransferVersion)>, Refusal> {
    let params = call.params;
    let window = window(params, "startTime", call.now())?;
    let limit = params.limit("limit", 1000, 1000)?;
    let offset = params.number("offset")?.and_then(|it| usize::try_from(it).ok()).unwrap_or(0);
    let wanted = params.number("status")?;
    let ids: Option<Vec<&str>> = params.get("idList").map(|list| list.split(',').collect());
    if ids.as_ref().is_some_and(|ids| ids.len() > 45) {
        return Err(Refusal::invalid("idList"));
    }
    let known = call.wallet(Wallet::Spot)?.map(|account| account.transfers(call.now()));
    let rows = known.unwrap_or_default().into_iter().filter(|(transfer, version)| {
        transfer.deposit == deposit
            && version.way().is_none()
            && !is_fiat(&transfer.asset)
            && window.contains(&transfer.created.millis())
            && wanted.is_none_or(|wanted| wanted == u64::from(status(version.status)))
            && params.get("coin").is_none_or(|coin| coin == transfer.asset)
            && params.get("txId").is_none_or(|txid| version.txid.as_deref() == Some(txid))
            && params.get("withdrawOrderId").is_none()
            && ids.as_ref().is_none_or(|ids| ids.contains(&transfer.id.as_str()))
    });
    Ok(rows.skip(offset).take(limit).collect())
}

#[derive(Serialize)]
struct Moves<'a> {
    total: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rows: Vec<Move<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Move<'a> {
    asset: &'a str,
    amount: String,
    r#type: &'a str,
    status: &'static str,
    tran_id: u64,
    timestamp: u64,
}

/// Transfers between the user's own wallets, one way at a time, newest first.
pub(super) fn between_wallets(call: &Call<'_>) -> Answer {
    let params = call.params;
    let wanted = params.get("type").ok_or_else(|| Refusal::mandatory("type"))?;
    let window = window(params, "startTime", call.now())?;
    let size = params.limit("size", 10, 100)?;
    let number = params.number("current")?.unwrap_or(1).max(1);
    let skipped = usize::try_from(number - 1).unwrap_or(usize::MAX).saturating_mul(size);
    let known = call.wallet(Wallet::Spot)?.map(|account| account.transfers(call.now()));
    let known = known.unwrap_or_default();
    let rows: Vec<_> = known
        .iter()
        .filter_map(|(transfer, version)| Some((transfer, version, version.way()?)))
        .filter(|(transfer, _, (way, _))| {
            *way == wanted && window.contains(&transfer.created.millis())
        })
        .map(|(transfer, version, (way, tran_id))| Move {
            asset: &transfer.asset,
            amount: padded(version.amount, 0),
            r#type: way,
            status: match version.status {
                FlowStatus::Pending => "PENDING",
                FlowStatus::Completed => "CONFIRMED",
                FlowStatus::Failed | FlowStatus::Canceled => "FAILED",
            },
            tran_id,
            timestamp: transfer.created.millis(),
        })
        .collect();
    let total = rows.len();
    json(&Moves { total, rows: rows.into_iter().skip(skipped).take(size).collect() })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Deposit<'a> {
    id: &'a str,
    amount: String,
    coin: &'a str,
    network: &'a str,
    status: u8,
    address: String,
    address_tag: &'static str,
    tx_id: &'a str,
    insert_time: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    complete_time: Option<u64>,
    transfer_type: u8,
    confirm_times: &'static str,
    unlock_confirm: u8,
    wallet_type: u8,
    travel_rule_status: u8,
}

/// 0 pending, 1 success, 2 rejected.
fn deposit_status(status: FlowStatus) -> u8 {
    match status {
        FlowStatus::Pending => 0,
        FlowStatus::Completed => 1,
        FlowStatus::Failed | FlowStatus::Canceled => 2,
    }
}

pub(super) fn deposits(call: &Call<'_>) -> Answer {
    let rows: Vec<_> = page(call, true, deposit_status)?
        .into_iter()
        .map(|(transfer, version)| Deposit {
            id: &transfer.id,
            amount: padded(version.amount, 0),
            coin: &transfer.asset,
            network: network(&transfer.asset),
            status: deposit_status(version.status),
            address: address(&transfer.id),
            address_tag: "",
            tx_id: version.txid.as_deref().unwrap_or_default(),
            insert_time: transfer.created.millis(),
            complete_time: completed(version).map(Stamp::millis),
            transfer_type: 0,
            confirm_times: "1/1",
            unlock_confirm: 0,
            wallet_type: 0,
            travel_rule_status: 0,
        })
        .collect();
    json(&rows)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Withdrawal<'a> {
    id: &'a str,
    amount: String,
    transaction_fee: String,
    coin: &'a str,
    status: u8,
    address: String,
    tx_id: &'a str,
    apply_time: String,
    network: &'a str,
    transfer_type: u8,
    withdraw_order_id: &'static str,
    info: &'static str,
    confirm_no: u32,
    wallet_type: u8,
    tx_key: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    complete_time: Option<String>,
}

/// 1 cancelled, 4 processing, 5 failure, 6 completed.
fn withdrawal_status(status: FlowStatus) -> u8 {
    match status {
        FlowStatus::Canceled => 1,
        FlowStatus::Pending => 4,
        FlowStatus::Failed => 5,
        FlowStatus::Completed => 6,
    }
}

/// Times are texts in UTC here, and `amount` is net of `transactionFee`.
pub(super) fn withdrawals(call: &Call<'_>) -> Answer {
    let text = |at: Stamp| at.format("%Y-%m-%d %H:%M:%S");
    let rows: Vec<_> = page(call, false, withdrawal_status)?
        .into_iter()
        .map(|(transfer, version)| Withdrawal {
            id: &transfer.id,
            amount: padded(version.amount, PLACES),
            transaction_fee: padded(version.fee, 0),
            coin: &transfer.asset,
            status: withdrawal_status(version.status),
            address: address(&transfer.id),
            tx_id: version.txid.as_deref().unwrap_or_default(),
            apply_time: text(transfer.created),
            network: network(&transfer.asset),
            transfer_type: 0,
            withdraw_order_id: "",
            info: "",
            confirm_no: 3,
            wallet_type: 0,
            tx_key: "",
            complete_time: completed(version).map(text),
        })
        .collect();
    json(&rows)
}

fn completed(version: &TransferVersion) -> Option<Stamp> {
    (version.status == FlowStatus::Completed).then_some(version.at)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the venue's record")]
struct Coin<'a> {
    coin: &'a str,
    deposit_all_enable: bool,
    withdraw_all_enable: bool,
    name: &'a str,
    free: &'static str,
    locked: &'static str,
    freeze: &'static str,
    withdrawing: &'static str,
    ipoing: &'static str,
    ipoable: &'static str,
    storage: &'static str,
    is_legal_money: bool,
    trading: bool,
    network_list: Vec<Network<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the venue's record")]
struct Network<'a> {
    network: &'a str,
    coin: &'a str,
    withdraw_integer_multiple: &'static str,
    is_default: bool,
    deposit_enable: bool,
    withdraw_enable: bool,
    name: &'a str,
    withdraw_fee: &'static str,
    withdraw_min: &'static str,
    withdraw_max: &'static str,
    min_confirm: u32,
    un_lock_confirm: u32,
    same_address: bool,
    busy: bool,
}

/// Every coin of every pair, with the network it moves on. What the user holds is not repeated.
pub(super) fn coins(call: &Call<'_>) -> Answer {
    const ZERO: &str = "0";
    call.account()?;
    let pairs = call.world().pairs().flat_map(|((base, quote), _)| [base, quote]);
    let names: BTreeSet<&String> = pairs.filter(|asset| *asset != "USD").collect();
    let coins: Vec<_> = names
        .into_iter()
        .map(|coin| Coin {
            coin,
            deposit_all_enable: true,
            withdraw_all_enable: true,
            name: coin,
            free: ZERO,
            locked: ZERO,
            freeze: ZERO,
            withdrawing: ZERO,
            ipoing: ZERO,
            ipoable: ZERO,
            storage: ZERO,
            is_legal_money: is_fiat(coin),
            trading: true,
            network_list: vec![Network {
                network: network(coin),
                coin,
                withdraw_integer_multiple: "0.00000001",
                is_default: true,
                deposit_enable: true,
                withdraw_enable: true,
                name: network(coin),
                withdraw_fee: "0.0001",
                withdraw_min: "0.0002",
                withdraw_max: "9999999",
                min_confirm: 1,
                un_lock_confirm: 0,
                same_address: false,
                busy: false,
            }],
        })
        .collect();
    json(&coins)
}

fn network(asset: &str) -> &str {
    match asset {
        "BNB" => "BSC",
        "USDT" | "USDC" | "FDUSD" => "ETH",
        other => other,
    }
}

fn address(id: &str) -> String {
    let digest = Sha256::digest(id.as_bytes());
    format!("0x{}", hex::encode(digest.get(..20).unwrap_or_default()))
}

#[derive(Serialize)]
struct FiatOrders<'a> {
    code: &'static str,
    message: &'static str,
    data: Vec<FiatOrder<'a>>,
    total: usize,
    success: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FiatOrder<'a> {
    order_no: &'a str,
    fiat_currency: &'a str,
    indicated_amount: String,
    amount: String,
    total_fee: String,
    method: &'static str,
    status: &'static str,
    create_time: u64,
    update_time: u64,
}

/// Deposits and withdrawals of money. The indicated amount of a withdrawal includes its fee.
pub(super) fn fiat_orders(call: &Call<'_>) -> Answer {
    let deposit = match call.params.mandatory("transactionType")? {
        "0" => true,
        "1" => false,
        _ => return Err(Refusal::invalid("transactionType")),
    };
    let window = window(call.params, "beginTime", call.now())?;
    let rows = call.params.limit("rows", 100, 500)?;
    let number = call.params.limit("page", 1, 1_000_000)?;
    let known = call.wallet(Wallet::Spot)?.map(|account| account.transfers(call.now()));
    let all: Vec<_> = known
        .unwrap_or_default()
        .into_iter()
        .filter(|(transfer, _)| {
            transfer.deposit == deposit
                && is_fiat(&transfer.asset)
                && window.contains(&transfer.created.millis())
        })
        .collect();
    let places = |value: Decimal| padded(value, 2);
    let data =
        all.iter().skip((number - 1) * rows).take(rows).map(|(transfer, version)| FiatOrder {
            order_no: &transfer.id,
            fiat_currency: &transfer.asset,
            indicated_amount: places(version.amount + version.fee),
            amount: places(version.amount),
            total_fee: places(version.fee),
            method: "BankAccount",
            status: match version.status {
                FlowStatus::Pending => "Processing",
                FlowStatus::Completed => "Successful",
                FlowStatus::Failed => "Failed",
                FlowStatus::Canceled => "Refunded",
            },
            create_time: transfer.created.millis(),
            update_time: version.at.millis(),
        });
    json(&FiatOrders {
        code: "000000",
        message: "success",
        data: data.collect(),
        total: all.len(),
        success: true,
    })
}
