//! Bars made of price events, for the venues that leave empty intervals out.

use rust_decimal::Decimal;

use crate::scenario::Stamp;
use crate::world::{PriceTick, PriceTrack};

/// One bar. Each price event is one trade of one unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bar<'a> {
    /// Seconds.
    pub(crate) start: u64,
    pub(crate) open: &'a PriceTick,
    pub(crate) high: &'a PriceTick,
    pub(crate) low: &'a PriceTick,
    pub(crate) close: &'a PriceTick,
    pub(crate) sum: Decimal,
    pub(crate) count: u32,
}

impl Bar<'_> {
    pub(crate) fn mean(&self) -> Decimal {
        self.sum.checked_div(Decimal::from(self.count)).unwrap_or(self.close.value)
    }
}

/// All bars of `step` seconds that something happened in, oldest first.
pub(crate) fn bars(track: &PriceTrack, now: Stamp, step: u64) -> Vec<Bar<'_>> {
    let mut bars: Vec<Bar<'_>> = Vec::new();
    for tick in track.until(now) {
        let seconds = tick.at.millis() / 1000;
        let start = seconds - seconds.checked_rem(step).unwrap_or(0);
        match bars.last_mut().filter(|bar| bar.start == start) {
            Some(bar) => {
                if tick.value > bar.high.value {
                    bar.high = tick;
                }
                if tick.value < bar.low.value {
                    bar.low = tick;
                }
                bar.close = tick;
                bar.sum = bar.sum.saturating_add(tick.value);
                bar.count += 1;
            }
            None => bars.push(Bar {
                start,
                open: tick,
                high: tick,
                low: tick,
                close: tick,
                sum: tick.value,
                count: 1,
            }),
        }
    }
    bars
}
