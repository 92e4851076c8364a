//! What an amount is worth in another asset, by the scenario's prices.

use rust_decimal::Decimal;

use crate::scenario::{Balance, Stamp};
use crate::world::World;

/// Everything a row holds, less what is owed.
pub(crate) fn net(held: &Balance) -> Decimal {
    let [free, locked, earn, borrowed, interest] =
        [&held.free, &held.locked, &held.earn, &held.borrowed, &held.interest]
            .map(|number| number.decimal().unwrap_or_default());
    free.saturating_add(locked).saturating_add(earn) - borrowed - interest
}

/// Units of `quote` for one `asset`: directly, turned round, or over one asset between.
pub(crate) fn price(world: &World, asset: &str, quote: &str, now: Stamp) -> Option<Decimal> {
    let mut over = ["USDT", "USD", "USDC", "BTC"].into_iter();
    step(world, asset, quote, now).or_else(|| {
        over.find_map(|between| {
            let first = step(world, asset, between, now)?;
            first.checked_mul(step(world, between, quote, now)?)
        })
    })
}

fn step(world: &World, from: &str, to: &str, now: Stamp) -> Option<Decimal> {
    if from == to {
        return Some(Decimal::ONE);
    }
    let find = |from: &str, to: &str| {
        let track = world.price(&(from.to_owned(), to.to_owned()))?;
        track.at(now).map(|tick| tick.value)
    };
    find(from, to).or_else(|| Decimal::ONE.checked_div(find(to, from)?))
}
