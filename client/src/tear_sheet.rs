//! The tear sheet: a verified report as one HTML file that people read, keep and print.
//!
//! # Guarantees
//!
//! * It is made from a [`VerifiedFile`] alone, so no unverified number is ever shown with a badge.
//! * It has no script, no font, no image from elsewhere: its content security policy allows its
//!   one style sheet, by hash, and nothing else.
//! * Everything a customer or an exchange named is escaped by the template.
//! * It carries `report.json`, byte for byte, so that the sheet can be checked again.
//!
//! # What it does not give
//!
//! * The file itself is not signed: whoever edits it can write what they like. What is worth
//!   something is the report inside, checked with `perfagg verify`.

mod calendar;
mod chart;
mod page;
mod sections;

#[cfg(test)]
mod tests;

use protocol::encoding::to_hex;
use protocol::limits::REPORT_LEN_MAX;
use protocol::report_payload::ReportPayload;

use crate::verify::VerifiedFile;

/// Largest page that is taken for one of ours, in bytes: a report twice, and what is said of it.
pub const LEN_MAX: usize = 4 * REPORT_LEN_MAX;

/// How every page begins; nobody else's does.
const MARK: &str =
    "<!DOCTYPE html><html lang=\"en\" data-format=\"performance-aggregator/tear-sheet/1\">";

/// Whether bytes are a page of this program, which may be replaced by a newer one.
pub fn is_page(bytes: &[u8]) -> bool {
    bytes.starts_with(MARK.as_bytes())
}

/// What vouches for the payload, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Proof {
    pcrs: Vec<(String, String)>,
    bytes: Vec<u8>,
}

/// Everything a page is made of.
#[derive(Clone, Copy, Debug)]
struct Sheet<'a> {
    payload: &'a ReportPayload,
    proof: &'a Proof,
}

/// Writes the page.
pub fn html(file: &VerifiedFile) -> String {
    let attestation = file.report().attestation();
    let names = [(0, "PCR0, the image"), (1, "PCR1, the kernel"), (2, "PCR2, the application")];
    let pcrs = names.into_iter().filter_map(|(index, name)| {
        attestation.pcr(index).map(|pcr| (name.to_owned(), to_hex(pcr)))
    });
    let proof = Proof { pcrs: pcrs.collect(), bytes: file.bytes().to_vec() };
    page::html(&Sheet { payload: file.report().payload(), proof: &proof })
}
