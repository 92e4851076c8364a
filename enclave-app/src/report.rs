//! The signed report: payload, attestation, signature, in the one right order.

use std::collections::BTreeMap;

use analytics::Timestamp;
use protocol::canonical::Json;
use protocol::report::{Prepared, Statement};
use protocol::report_payload::{
    Method, Period, ReportPayload, Schema, Series, SeriesDay, SessionSpan,
};
use protocol::time::UnixMillis;
use tracing::error;

use crate::engine_api::{Pae, ReportRefusal, Signer};
use crate::portfolio::Portfolio;

/// This release, as reports name it.
pub(crate) const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// Puts together what the portfolio is known to be at `now`.
pub fn payload(
    portfolio: &Portfolio,
    session: SessionSpan,
    now: UnixMillis,
    simulated: bool,
) -> Result<ReportPayload, ReportRefusal> {
    let (result, series) = portfolio.report(now).ok_or(ReportRefusal::Internal)?;
    let held = result.portfolio.as_ref().ok_or(ReportRefusal::NothingYet)?;
    let period = period(held.start_time, held.end_time)?;
    let methods = analytics::methods()
        .iter()
        .map(|(key, method)| {
            let (id, unit) = (method.id.to_owned(), method.unit.to_owned());
            ((*key).to_owned(), Method { id, unit })
        })
        .collect::<BTreeMap<_, _>>();
    Ok(ReportPayload {
        schema: Schema,
        simulated,
        issued_at: now,
        release: RELEASE.to_owned(),
        portfolio_id: portfolio.key.portfolio_id(),
        portfolio_key: portfolio.key,
        base_currency: portfolio.base_currency.clone(),
        session,
        period,
        accounts: portfolio.accounts(),
        rate_sources: portfolio.rate_sources(),
        results: Json::of(&result).map_err(|_| ReportRefusal::Internal)?,
        series: signed_series(series),
        methods,
    })
}

/// A period as payloads have it.
pub(crate) fn period(start: Timestamp, end: Timestamp) -> Result<Period, ReportRefusal> {
    let millis = |at: Timestamp| {
        u64::try_from(at.as_micros() / 1000).map(UnixMillis).map_err(|_| ReportRefusal::Internal)
    };
    Ok(Period { start: millis(start)?, end: millis(end)? })
}

/// The index day by day, as the payload has it.
fn signed_series(series: analytics::Series) -> Series {
    let days = series.days.into_iter().map(|row| SeriesDay {
        day: row.day.to_string(),
        index: row.index.map(|index| index.to_string()),
        drawdown: row.drawdown.map(|drawdown| drawdown.to_string()),
        expected_ticks: row.expected_ticks,
        complete_ticks: row.complete_ticks,
    });
    Series { days: days.collect() }
}

/// Attests and signs exactly what the payload says.
pub async fn sign<P: Statement + Sync>(
    payload: &P,
    signer: &dyn Signer,
) -> Result<Vec<u8>, ReportRefusal> {
    let prepared = Prepared::new(payload).map_err(|cause| {
        error!(%cause, "a report's payload is unsound");
        ReportRefusal::Internal
    })?;
    let document =
        signer.attest_report(*prepared.nonce()).await.map_err(|_| ReportRefusal::Busy)?;
    let pae = Pae::new(prepared.pae()).ok_or(ReportRefusal::Internal)?;
    let signature = signer.sign(&pae);
    prepared
        .assemble_signed(signature, document, signer.key_bundle())
        .map_err(|_| ReportRefusal::Internal)
}
