//! Before a session is active: does each key work, whose is it, and can it only read.

use exchanges::{Context, ExchangeError, Fact, KeyRefused, Permissions, Proof, Query, ReadOnlyKey};
use protocol::category::Category;
use protocol::session::{Identity, IdentityKind, Permission};
use tracing::error;

use super::ask::{AskError, Desk, Signed, refuses_key};
use crate::egress::Egress;
use crate::engine_api::{AccountRefusal, CheckedAccount, OpenedAccount};
use crate::sessions::Vault;

/// Holds what an exchange says of a key against what may be admitted: [`Proof::Unreadable`] only
/// under the operator's measured policy.
pub(super) fn admit(permissions: Permissions, least: Proof) -> Result<ReadOnlyKey, KeyRefused> {
    match least {
        Proof::Confirmed => permissions.confirm(),
        Proof::Unreadable => permissions.confirm_or_admit_unreadable(),
    }
}

/// Asks the exchange about one account, over connections of its own that end with the check.
pub(super) async fn check(
    desk: &Desk,
    egress: &Egress,
    least: Proof,
    (vault, index): (&Vault, usize),
    account: &OpenedAccount,
) -> Result<CheckedAccount, AccountRefusal> {
    let label = || account.label.clone();
    let connector = exchanges::connector(account.venue, account.market)
        .ok_or_else(|| AccountRefusal::NotOffered { label: label() })?;
    let http = egress.http(connector.hosts());
    let signed = Signed::Opening(vault, index, desk.opening());
    let refused = |error: AskError| refusal(label(), error);
    desk.read_clock(&http, connector).await.map_err(refused)?;
    let context = Context::default();
    let ask = |query| desk.all(&http, connector, query, signed, &context);
    let permissions =
        ask(Query::Permissions)
            .await
            .map_err(refused)?
            .into_iter()
            .find_map(|fact| {
                if let Fact::Permissions(permissions) = fact { Some(permissions) } else { None }
            })
            .ok_or_else(|| AccountRefusal::Unproven { label: label() })?;
    let proof = admit(permissions, least).map_err(|refused| too_powerful(label(), refused))?;
    let identity = ask(Query::AccountIdentity)
        .await
        .map_err(refused)?
        .into_iter()
        .find_map(|fact| if let Fact::Identity(identity) = fact { Some(identity) } else { None })
        .ok_or_else(|| AccountRefusal::Unavailable { label: label() })?;
    let kind = match identity.kind {
        exchanges::IdentityKind::Uid => IdentityKind::Uid,
        exchanges::IdentityKind::PortfolioUuid => IdentityKind::PortfolioUuid,
    };
    // What no message can carry must not open a session that its owner never hears of.
    let identity = Identity { kind, value: identity.value };
    if !identity.in_bounds() {
        error!("an exchange's name for an account cannot be carried");
        return Err(AccountRefusal::Unavailable { label: label() });
    }
    let permissions = vec![match proof.proof() {
        Proof::Confirmed => Permission::Read,
        Proof::Unreadable => Permission::Unknown,
    }];
    Ok(CheckedAccount { identity, permissions, proof })
}

fn too_powerful(label: String, refused: KeyRefused) -> AccountRefusal {
    if refused.remove.is_empty() {
        AccountRefusal::Unproven { label }
    } else {
        AccountRefusal::TooPowerful { label, remove: refused.remove }
    }
}

fn refusal(label: String, error: AskError) -> AccountRefusal {
    if let AskError::Exchange(ExchangeError::KeyRefused(refused)) = error {
        return too_powerful(label, refused);
    }
    if error == AskError::Exchange(ExchangeError::InvalidCredentials) {
        return AccountRefusal::Malformed { label };
    }
    if refuses_key(&error) {
        return AccountRefusal::KeyRefused { label };
    }
    match error.category() {
        Category::Throttled => AccountRefusal::Throttled { label },
        Category::Internal | Category::NotFound => {
            error!(%error, "an account could not be checked");
            AccountRefusal::Internal
        }
        Category::Invalid
        | Category::Unauthorized
        | Category::Refused
        | Category::WrongKey
        | Category::Replayed
        | Category::Unavailable
        | Category::Integrity => AccountRefusal::Unavailable { label },
    }
}
