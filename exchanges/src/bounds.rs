//! What a query must keep to before it becomes a request.

use std::time::Duration;

use crate::error::ExchangeError;
use crate::limits;
use crate::query::Window;

/// A name that can stand in a path or a query: not empty, bounded, no control
/// characters. It may hold any letter; the encoding makes it safe.
pub(crate) fn name<'a>(text: &'a str, field: &'static str) -> Result<&'a str, ExchangeError> {
    let fits = (1..=limits::SYMBOL_LEN_MAX).contains(&text.len());
    if fits && !text.chars().any(char::is_control) {
        Ok(text)
    } else {
        Err(ExchangeError::InvalidQuery { field })
    }
}

/// A page of 1 to `max` rows.
pub(crate) fn page(limit: u16, max: u16) -> Result<u16, ExchangeError> {
    if (1..=max).contains(&limit) {
        Ok(limit)
    } else {
        Err(ExchangeError::InvalidQuery { field: "limit" })
    }
}

/// A window that does not end before it starts and is not longer than `max`.
pub(crate) fn window(window: Window, max: Option<Duration>) -> Result<Window, ExchangeError> {
    let fits = window.duration().is_some_and(|length| max.is_none_or(|max| length <= max));
    if fits { Ok(window) } else { Err(ExchangeError::InvalidQuery { field: "window" }) }
}
