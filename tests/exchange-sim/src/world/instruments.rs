//! Futures contracts: what the scenario's fills and positions say of them.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::number::Number;
use crate::scenario::{Event, Market, ScenarioError};

use super::{Pair, PriceTrack};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instrument {
    pub(crate) symbol: String,
    pub(crate) pair: Pair,
    pub(crate) settle: String,
    /// Linear: base per contract. Inverse: quote per contract.
    pub(crate) contract_size: Decimal,
    pub(crate) inverse: bool,
}

pub(super) fn of(
    events: &[Event],
    pairs: &BTreeMap<Pair, PriceTrack>,
) -> Result<BTreeMap<String, Instrument>, ScenarioError> {
    let mut found: BTreeMap<String, Instrument> = BTreeMap::new();
    for event in events {
        if let Event::Fill(fill) = event
            && fill.market == Market::Futures
        {
            let size = fill.contract_size.as_ref().map_or(Ok(Decimal::ONE), Number::decimal)?;
            let instrument = Instrument {
                symbol: fill.symbol.clone(),
                pair: (fill.base.clone(), fill.quote.clone()),
                settle: fill.settle_asset.clone().unwrap_or_else(|| fill.quote.clone()),
                contract_size: size,
                inverse: fill.inverse == Some(true),
            };
            let known = found.entry(fill.symbol.clone()).or_insert_with(|| instrument.clone());
            if *known != instrument {
                return Err(ScenarioError::Invalid("two contracts of one name"));
            }
        }
    }
    // A contract that is held and never traded: linear, by the name of its pair.
    for event in events {
        let Event::Snapshot(snapshot) = event else { continue };
        for held in &snapshot.positions {
            let named = |(base, quote): &&Pair| {
                *quote == held.settle_asset && format!("{base}{quote}") == held.symbol
            };
            if let Some(pair) = pairs.keys().find(named)
                && !found.contains_key(&held.symbol)
            {
                let instrument = Instrument {
                    symbol: held.symbol.clone(),
                    pair: pair.clone(),
                    settle: held.settle_asset.clone(),
                    contract_size: Decimal::ONE,
                    inverse: false,
                };
                found.insert(held.symbol.clone(), instrument);
            }
        }
    }
    Ok(found)
}
