//! Faults: rules that make the venue misbehave on purpose.
//!
//! A rule names where (host, path prefix, account), when (a span of scenario
//! time), how often, and what happens. Of several rules that apply to a
//! request the oldest one acts. Clock skew and certificates are looked up
//! apart, so they combine with the rest.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::limits;

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// The host it applies to; without it, all venues.
    #[serde(default)]
    pub host: Option<String>,
    /// The beginning of the path; without it, all paths.
    #[serde(default)]
    pub path: Option<String>,
    /// The account whose key asks; without it, all requests, unauthenticated ones too.
    #[serde(default)]
    pub account: Option<String>,
    /// Matching requests that pass before it acts.
    #[serde(default)]
    pub skip: u32,
    /// How many requests it hits; without it, until the rules are deleted.
    #[serde(default)]
    pub times: Option<u32>,
    /// It applies from this scenario time on.
    #[serde(default)]
    pub from_ms: Option<u64>,
    /// It applies before this scenario time.
    #[serde(default)]
    pub until_ms: Option<u64>,
    pub fault: Fault,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// The venue's own error body under this status, with `Retry-After` if given.
    Status {
        status: u16,
        #[serde(default)]
        retry_after_secs: Option<u64>,
    },
    /// No answer until the rules are deleted; then the true one.
    Hang {},
    /// The true answer, cut in the middle of its body.
    Truncate {},
    /// A page of the firewall in front of the venue.
    Html { status: u16 },
    /// This very body in place of the answer.
    Body { status: u16, body: String },
    /// The venue's clock is off: its time endpoint, its Date header and its timestamp check.
    ClockSkew { ms: i64 },
    /// The connection ends with a TCP reset.
    Reset {},
    /// The TLS handshake shows a certificate that must not be accepted.
    WrongCertificate { certificate: WrongCertificate },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WrongCertificate {
    /// Right name, another authority.
    OtherAuthority,
    /// Right authority, another name.
    OtherName,
    /// Right authority and name, ended long ago.
    Expired,
}

/// A rule in force, as `GET /faults` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultState {
    pub rule: FaultRule,
    /// Requests it has hit.
    pub hits: u32,
}

/// The request a rule is matched against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    pub(crate) account: Option<&'a str>,
    pub(crate) now_ms: u64,
}

/// A fault that hit, and the word that ends a hang.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    pub(crate) fault: Fault,
    pub(crate) deleted: CancellationToken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultError {
    #[error("too many fault rules")]
    TooMany,
    #[error("no such host")]
    Host,
    #[error("a path starts with a slash")]
    Path,
    #[error("no such account")]
    Account,
    #[error("a status, body, skew, retry-after or time span out of range")]
    Range,
}

#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<Active>>);

#[derive(Debug)]
struct Active {
    rule: FaultRule,
    skipped: u32,
    hits: u32,
    deleted: CancellationToken,
}

impl Faults {
    /// Adds rules after those in force; all or none.
    pub(crate) fn add(
        &self,
        rules: Vec<FaultRule>,
        hosts: &[&str],
        knows_account: impl Fn(&str) -> bool,
    ) -> Result<(), FaultError> {
        for rule in &rules {
            rule.check(hosts, &knows_account)?;
        }
        let mut active = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if active.len() + rules.len() > limits::FAULTS_MAX {
            return Err(FaultError::TooMany);
        }
        active.extend(rules.into_iter().map(|rule| Active {
            rule,
            skipped: 0,
            hits: 0,
            deleted: CancellationToken::new(),
        }));
        Ok(())
    }

    /// Ends every rule; hanging requests are answered.
    pub(crate) fn clear(&self) {
        let mut active = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for fault in active.drain(..) {
            fault.deleted.cancel();
        }
    }

    pub(crate) fn list(&self) -> Vec<FaultState> {
        let active = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        active.iter().map(|it| FaultState { rule: it.rule.clone(), hits: it.hits }).collect()
    }

    /// The fault that befalls this request.
    pub(crate) fn befalls(&self, target: &Target<'_>) -> Option<Hit> {
        self.first(target, |fault| {
            !matches!(fault, Fault::ClockSkew { .. } | Fault::WrongCertificate { .. })
        })
    }

    /// How far the venue's clock is off for this request, in milliseconds.
    pub(crate) fn skew_ms(&self, target: &Target<'_>) -> i64 {
        let hit = self.first(target, |fault| matches!(fault, Fault::ClockSkew { .. }));
        match hit.map(|hit| hit.fault) {
            Some(Fault::ClockSkew { ms }) => ms,
            _ => 0,
        }
    }

    /// The certificate to show for a host when it must not be the right one.
    pub(crate) fn certificate(&self, host: &str, now_ms: u64) -> Option<WrongCertificate> {
        // The handshake comes before any path or key.
        let target = Target { host, path: "/", account: None, now_ms };
        let hit = self.first(&target, |fault| matches!(fault, Fault::WrongCertificate { .. }));
        match hit.map(|hit| hit.fault) {
            Some(Fault::WrongCertificate { certificate }) => Some(certificate),
            _ => None,
        }
    }

    fn first(&self, target: &Target<'_>, kind: impl Fn(&Fault) -> bool) -> Option<Hit> {
        let mut active = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for fault in active.iter_mut() {
            let spent = fault.rule.times.is_some_and(|times| fault.hits >= times);
            if spent || !kind(&fault.rule.fault) || !fault.rule.applies(target) {
                continue;
            }
            if fault.skipped < fault.rule.skip {
                fault.skipped += 1;
                continue;
            }
            fault.hits = fault.hits.saturating_add(1);
            return Some(Hit { fault: fault.rule.fault.clone(), deleted: fault.deleted.clone() });
        }
        None
    }
}

impl FaultRule {
    fn applies(&self, target: &Target<'_>) -> bool {
        self.host.as_deref().is_none_or(|host| host == target.host)
            && self.path.as_deref().is_none_or(|path| target.path.starts_with(path))
            && self.account.as_deref().is_none_or(|account| target.account == Some(account))
            && self.from_ms.is_none_or(|from| target.now_ms >= from)
            && self.until_ms.is_none_or(|until| target.now_ms < until)
    }

    fn check(
        &self,
        hosts: &[&str],
        knows_account: &impl Fn(&str) -> bool,
    ) -> Result<(), FaultError> {
        if self.host.as_deref().is_some_and(|host| !hosts.contains(&host)) {
            return Err(FaultError::Host);
        }
        if self.path.as_deref().is_some_and(|path| !path.starts_with('/')) {
            return Err(FaultError::Path);
        }
        if self.account.as_deref().is_some_and(|account| !knows_account(account)) {
            return Err(FaultError::Account);
        }
        if let (Some(from), Some(until)) = (self.from_ms, self.until_ms)
            && from >= until
        {
            return Err(FaultError::Range);
        }
        let sound = match &self.fault {
            Fault::Status { status, retry_after_secs } => {
                (400..600).contains(status)
                    && retry_after_secs.is_none_or(|secs| secs <= limits::RETRY_AFTER_SECS_MAX)
            }
            Fault::Html { status } => (200..600).contains(status),
            Fault::Body { status, body } => {
                (200..600).contains(status) && body.len() <= limits::FAULT_BODY_BYTES_MAX
            }
            Fault::ClockSkew { ms } => (-limits::SKEW_MS_MAX..=limits::SKEW_MS_MAX).contains(ms),
            Fault::Hang {} | Fault::Truncate {} | Fault::Reset {} => true,
            Fault::WrongCertificate { .. } => self.account.is_none() && self.path.is_none(),
        };
        if sound { Ok(()) } else { Err(FaultError::Range) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: [&str; 2] = ["one.test", "two.test"];

    fn add(faults: &Faults, rules: &str) -> Result<(), FaultError> {
        faults.add(serde_json::from_str(rules).unwrap(), &HOSTS, |account| account == "a")
    }

    fn target(host: &'static str, path: &'static str, now_ms: u64) -> Target<'static> {
        Target { host, path, account: None, now_ms }
    }

    #[test]
    fn a_rule_acts_where_when_and_as_often_as_it_says() {
        let faults = Faults::default();
        let rule = r#"[{"host":"one.test","path":"/api","skip":1,"times":2,"from_ms":10,"until_ms":20,
            "fault":{"kind":"status","status":503}}]"#;
        add(&faults, rule).unwrap();
        let hit = |target| faults.befalls(&target).is_some();
        assert!(!hit(target("two.test", "/api/x", 15)));
        assert!(!hit(target("one.test", "/sapi", 15)));
        assert!(!hit(target("one.test", "/api/x", 9)));
        assert!(!hit(target("one.test", "/api/x", 20)));
        let row: Vec<_> = (0..4).map(|_| hit(target("one.test", "/api/x", 15))).collect();
        assert_eq!(row, [false, true, true, false]);
        assert_eq!(faults.list()[0].hits, 2);
    }

    #[test]
    fn an_account_is_hit_alone() {
        let faults = Faults::default();
        add(&faults, r#"[{"account":"a","fault":{"kind":"reset"}}]"#).unwrap();
        let mut target = target("one.test", "/", 0);
        assert!(faults.befalls(&target).is_none());
        target.account = Some("b");
        assert!(faults.befalls(&target).is_none());
        target.account = Some("a");
        assert!(faults.befalls(&target).is_some());
    }

    #[test]
    fn skew_and_certificates_combine_with_the_rest() {
        let faults = Faults::default();
        let rules = r#"[{"fault":{"kind":"clock_skew","ms":-1500}},{"fault":{"kind":"truncate"}},
            {"host":"two.test","fault":{"kind":"wrong_certificate","certificate":"expired"}}]"#;
        add(&faults, rules).unwrap();
        let target = target("one.test", "/", 0);
        assert_eq!(faults.skew_ms(&target), -1500);
        assert_eq!(faults.befalls(&target).unwrap().fault, Fault::Truncate {});
        assert_eq!(faults.certificate("one.test", 0), None);
        assert_eq!(faults.certificate("two.test", 0), Some(WrongCertificate::Expired));
    }

    #[test]
    fn clearing_ends_hanging_requests() {
        let faults = Faults::default();
        add(&faults, r#"[{"fault":{"kind":"hang"}}]"#).unwrap();
        let hit = faults.befalls(&target("one.test", "/", 0)).unwrap();
        assert!(!hit.deleted.is_cancelled());
        faults.clear();
        assert!(hit.deleted.is_cancelled());
        assert!(faults.list().is_empty());
    }

    #[test]
    fn rules_out_of_range_are_refused_and_add_nothing() {
        let faults = Faults::default();
        for (rule, error) in [
            (r#"{"host":"three.test","fault":{"kind":"hang"}}"#, FaultError::Host),
            (r#"{"path":"api","fault":{"kind":"hang"}}"#, FaultError::Path),
            (r#"{"account":"z","fault":{"kind":"hang"}}"#, FaultError::Account),
            (r#"{"fault":{"kind":"status","status":200}}"#, FaultError::Range),
            (r#"{"fault":{"kind":"html","status":600}}"#, FaultError::Range),
            (r#"{"fault":{"kind":"clock_skew","ms":99999999999}}"#, FaultError::Range),
            (r#"{"from_ms":5,"until_ms":5,"fault":{"kind":"hang"}}"#, FaultError::Range),
        ] {
            let rules = format!(r#"[{{"fault":{{"kind":"hang"}}}},{rule}]"#);
            assert_eq!(add(&faults, &rules), Err(error), "{rule}");
        }
        assert!(faults.list().is_empty());
    }

    #[test]
    fn unknown_fields_are_refused() {
        for rule in [
            r#"{"fault":{"kind":"hang","more":1}}"#,
            r#"{"fault":{"kind":"hang"},"more":1}"#,
            r#"{"fault":{"kind":"earthquake"}}"#,
        ] {
            assert!(serde_json::from_str::<FaultRule>(rule).is_err(), "{rule}");
        }
    }
}
