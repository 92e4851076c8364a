//! Which deposits and withdrawals were told to the analytics, and how far each had come.
//!
//! Lists are by the time of the request, and are asked for again and again: what was pending
//! becomes final, and what is final can be listed late. Each state of each transfer is told once.

use std::collections::BTreeMap;

use exchanges::{Transfer, TransferKind, TransferStatus};
use protocol::time::UnixMillis;

use super::convert::happened;

#[derive(Debug, Default)]
pub(super) struct Transfers(BTreeMap<(Kind, String), Known>);

/// Deposits and withdrawals have identifiers of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Deposit,
    Withdrawal,
}

#[derive(Debug)]
struct Known {
    status: TransferStatus,
    listed: UnixMillis,
}

impl Transfers {
    /// Whether `transfer` says something new about the time after `since`. What is completed
    /// stays so, whatever is listed later.
    pub(super) fn is_news(
        &mut self,
        transfer: &Transfer,
        since: UnixMillis,
        now: UnixMillis,
    ) -> bool {
        if let Some(known) = self.0.get_mut(&key(transfer)) {
            known.listed = now;
            return known.status != TransferStatus::Ok && known.status != transfer.status;
        }
        happened(transfer) > since
    }

    /// `transfer` was told.
    pub(super) fn told(&mut self, transfer: &Transfer, now: UnixMillis) {
        self.0.insert(key(transfer), Known { status: transfer.status, listed: now });
    }

    /// Forgets what has not been listed since `oldest`.
    pub(super) fn forget(&mut self, oldest: UnixMillis) {
        self.0.retain(|_, known| known.listed >= oldest);
    }
}

fn key(transfer: &Transfer) -> (Kind, String) {
    let kind = match transfer.kind {
        TransferKind::Deposit => Kind::Deposit,
        TransferKind::Withdrawal => Kind::Withdrawal,
    };
    (kind, transfer.id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINCE: UnixMillis = UnixMillis(1000);
    const NOW: UnixMillis = UnixMillis(9000);

    fn transfer(kind: TransferKind, status: TransferStatus, at: u64) -> Transfer {
        Transfer {
            id: "1".into(),
            kind,
            asset: "BTC".into(),
            amount: 1.into(),
            fee: None,
            status,
            txid: None,
            network: None,
            internal: None,
            at: UnixMillis(at),
            completed_at: None,
        }
    }

    fn deposit(status: TransferStatus) -> Transfer {
        transfer(TransferKind::Deposit, status, 5000)
    }

    #[test]
    fn each_state_is_told_once_and_completed_is_the_last() {
        let mut transfers = Transfers::default();
        let mut told = |status| {
            let transfer = deposit(status);
            let news = transfers.is_news(&transfer, SINCE, NOW);
            if news {
                transfers.told(&transfer, NOW);
            }
            news
        };
        assert!(told(TransferStatus::Pending));
        assert!(!told(TransferStatus::Pending));
        assert!(told(TransferStatus::Ok));
        assert!(!told(TransferStatus::Ok));
        assert!(!told(TransferStatus::Failed));
    }

    #[test]
    fn deposits_and_withdrawals_may_share_an_id() {
        let mut transfers = Transfers::default();
        transfers.told(&deposit(TransferStatus::Ok), NOW);
        let withdrawal = transfer(TransferKind::Withdrawal, TransferStatus::Ok, 5000);
        assert!(transfers.is_news(&withdrawal, SINCE, NOW));
    }

    #[test]
    fn what_the_first_balance_contains_is_no_news() {
        let mut transfers = Transfers::default();
        let old = transfer(TransferKind::Deposit, TransferStatus::Ok, 1000);
        assert!(!transfers.is_news(&old, SINCE, NOW));
        let completed_since = Transfer { completed_at: Some(UnixMillis(1001)), ..old };
        assert!(transfers.is_news(&completed_since, SINCE, NOW));
    }

    #[test]
    fn what_is_listed_is_remembered() {
        let mut transfers = Transfers::default();
        transfers.told(&deposit(TransferStatus::Ok), UnixMillis(10));
        assert!(!transfers.is_news(&deposit(TransferStatus::Ok), SINCE, UnixMillis(20)));
        transfers.forget(UnixMillis(20));
        assert!(!transfers.is_news(&deposit(TransferStatus::Ok), SINCE, UnixMillis(20)));
    }
}
