//! Random bytes of the operating system.

use crate::error::ClientError;

pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], ClientError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|_| ClientError::Internal("the system gives no random bytes".into()))?;
    Ok(bytes)
}
