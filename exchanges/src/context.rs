//! What a reader may know besides the reply.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::fact::Instrument;

/// Instruments by every name the exchange uses for them, and known assets.
///
/// Built once from the facts of [`Query::Instruments`](crate::Query::Instruments)
/// and shared by all sessions.
#[derive(Clone, Debug, Default)]
pub struct Context {
    instruments: BTreeMap<String, Arc<Instrument>>,
    assets: BTreeSet<String>,
}

impl Context {
    /// Indexes `instruments` by their raw names and aliases. Their bases,
    /// quotes and settlement assets count as known assets. Of two instruments
    /// with one name the first stays.
    pub fn new(instruments: impl IntoIterator<Item = Instrument>) -> Self {
        let mut context = Self::default();
        for instrument in instruments {
            let instrument = Arc::new(instrument);
            let assets = [&instrument.base, &instrument.quote];
            for asset in assets.into_iter().chain(&instrument.settle) {
                if !context.assets.contains(asset) {
                    context.assets.insert(asset.clone());
                }
            }
            for name in std::iter::once(&instrument.raw).chain(&instrument.aliases) {
                context.instruments.entry(name.clone()).or_insert_with(|| Arc::clone(&instrument));
            }
        }
        context
    }

    /// Adds assets known from elsewhere.
    #[must_use]
    pub fn with_assets<S: Into<String>>(mut self, assets: impl IntoIterator<Item = S>) -> Self {
        self.assets.extend(assets.into_iter().map(Into::into));
        self
    }

    /// The instrument the exchange calls `name`.
    pub fn instrument(&self, name: &str) -> Option<&Arc<Instrument>> {
        self.instruments.get(name)
    }

    /// All instruments; those with aliases appear under each name.
    pub fn instruments(&self) -> impl Iterator<Item = (&str, &Arc<Instrument>)> {
        self.instruments.iter().map(|(name, instrument)| (name.as_str(), instrument))
    }

    /// Whether `asset` is a code of its own.
    pub fn knows_asset(&self, asset: &str) -> bool {
        self.assets.contains(asset)
    }
}
