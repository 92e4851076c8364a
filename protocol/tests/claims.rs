//! Claims as they are written, signed and answered.
#![expect(clippy::unwrap_used, reason = "a broken claim has to stop its test")]

use proptest::prelude::*;
use protocol::claim::{
    ClaimError, ClaimPeriod, ClaimRefused, ClaimReply, ClaimRequest, Comparison, Predicate,
};
use protocol::keys::KeyId;
use protocol::limits::CLAIM_REPLY_LEN;
use protocol::portfolio::PortfolioSecret;
use protocol::time::UnixMillis;
use rust_decimal::Decimal;

const KEY_ID: KeyId = KeyId([7; 32]);
const EPHEMERAL: [u8; 32] = [9; 32];

fn predicates(texts: &[&str]) -> Vec<Predicate> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn signed(period: &str, texts: &[&str]) -> (Vec<u8>, PortfolioSecret) {
    let secret = PortfolioSecret::from_bytes(&[3; 32]);
    let request = ClaimRequest::new(
        period.parse().unwrap(),
        predicates(texts),
        UnixMillis(1_700_000_000_000),
    );
    (request.sign(&secret, &KEY_ID, &EPHEMERAL).unwrap(), secret)
}

#[test]
fn a_predicate_is_read_in_words_and_written_in_one_form() {
    for (text, form) in [
        ("twr >= 0.12", "twr >= 0.12"),
        ("max_drawdown<=0.08", "max_drawdown <= 0.08"),
        (" sharpe >=  1.50", "sharpe >= 1.5"),
        ("twr >= -0.10", "twr >= -0.1"),
        ("win_rate_days >= 1", "win_rate_days >= 1"),
    ] {
        assert_eq!(text.parse::<Predicate>().unwrap().to_string(), form);
    }
}

#[test]
fn what_is_off_the_grid_or_unknown_is_no_predicate() {
    for text in [
        "twr >= 0.123",
        "sharpe >= 1.55",
        "twr > 0.1",
        "twr == 0.1",
        "twr",
        "twr >= ",
        "twr >= 1e1",
        "twr >= 0x1",
        "twr >= +0.1",
        "twr >= 1000.01",
        "twr >= 0.1 <= 0.2",
        "gain >= 1",
        "",
        "twr >= 0.12\u{0}",
        "twr >= 00000000000000000000000000.1",
    ] {
        assert!(text.parse::<Predicate>().is_err(), "{text}");
    }
}

#[test]
fn a_period_is_all_of_it_or_a_piece_of_the_calendar() {
    for (text, months) in [
        ("all", None),
        ("2026", Some([(2026, 1), (2027, 1)])),
        ("2026-Q1", Some([(2026, 1), (2026, 4)])),
        ("2026-Q4", Some([(2026, 10), (2027, 1)])),
        ("2026-02", Some([(2026, 2), (2026, 3)])),
        ("2026-12", Some([(2026, 12), (2027, 1)])),
    ] {
        let period: ClaimPeriod = text.parse().unwrap();
        assert_eq!((period.months(), period.to_string().as_str()), (months, text));
    }
    for text in [
        "", "All", "26", "2026-Q0", "2026-Q5", "2026-13", "2026-00", "2026-1", "2026-W07", "1969",
        "2200",
    ] {
        assert!(text.parse::<ClaimPeriod>().is_err(), "{text}");
    }
}

#[test]
fn a_bound_is_kept_on_its_own_side_and_never_by_a_missing_metric() {
    let [low, high] = predicates(&["twr >= 0.12", "max_drawdown <= 0.08"])[..] else { panic!() };
    let at = |text: &str| Some(text.parse::<Decimal>().unwrap());
    assert!(low.holds(at("0.120000000000")) && low.holds(at("0.5")));
    assert!(!low.holds(at("0.119999999999")) && !low.holds(None));
    assert!(high.holds(at("0.08")) && !high.holds(at("0.080000000001")) && !high.holds(None));
    assert_eq!((low.comparison, high.comparison), (Comparison::AtLeast, Comparison::AtMost));
}

#[test]
fn a_claim_is_read_only_under_the_key_and_the_session_it_was_signed_for() {
    let (bytes, secret) = signed("2026-03", &["twr >= 0.12"]);
    let read = ClaimRequest::verify(&bytes, &secret.public(), &KEY_ID, &EPHEMERAL).unwrap();
    assert_eq!(read.predicates, predicates(&["twr >= 0.12"]));
    let other = PortfolioSecret::from_bytes(&[4; 32]).public();
    for refused in [
        ClaimRequest::verify(&bytes, &other, &KEY_ID, &EPHEMERAL),
        ClaimRequest::verify(&bytes, &secret.public(), &KeyId([8; 32]), &EPHEMERAL),
        ClaimRequest::verify(&bytes, &secret.public(), &KEY_ID, &[8; 32]),
    ] {
        assert_eq!(refused.unwrap_err(), ClaimError::Signature);
    }
}

#[test]
fn a_claim_has_one_to_four_predicates() {
    let secret = PortfolioSecret::from_bytes(&[3; 32]);
    for (number, fits) in [(0, false), (1, true), (4, true), (5, false)] {
        let request = ClaimRequest::new(
            ClaimPeriod::All,
            vec!["twr >= 0.1".parse().unwrap(); number],
            UnixMillis(0),
        );
        assert_eq!(request.sign(&secret, &KEY_ID, &EPHEMERAL).is_ok(), fits, "{number}");
    }
}

#[test]
fn all_answers_have_one_length() {
    for reply in [
        ClaimReply::Signed(vec![0; 60_000]),
        ClaimReply::Signed(vec![1]),
        ClaimReply::Refused(ClaimRefused::Coverage),
    ] {
        let bytes = reply.encode().unwrap();
        assert_eq!(bytes.len(), CLAIM_REPLY_LEN);
        assert_eq!(ClaimReply::parse(&bytes).unwrap(), reply);
        assert!(ClaimReply::parse(&bytes[1..]).is_err());
    }
    assert!(ClaimReply::Signed(vec![0; CLAIM_REPLY_LEN]).encode().is_err());
}

proptest! {
    #[test]
    fn a_changed_claim_is_refused(at in 0_usize..200, bit in 0_u8..8) {
        let (mut bytes, secret) = signed("2026-Q2", &["twr >= 0.12", "sharpe >= 1.5"]);
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        prop_assert!(ClaimRequest::verify(&bytes, &secret.public(), &KEY_ID, &EPHEMERAL).is_err());
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in ".{0,40}", bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(text.parse::<Predicate>().is_err());
        prop_assert!(text.parse::<ClaimPeriod>().is_err() || text == "all" || text.starts_with(['1', '2']));
        let key = PortfolioSecret::from_bytes(&[3; 32]).public();
        prop_assert!(ClaimRequest::verify(&bytes, &key, &KEY_ID, &EPHEMERAL).is_err());
    }
}
