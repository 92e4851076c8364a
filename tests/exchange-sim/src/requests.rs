//! The log of requests served: host, method, path without query, status, count.
//!
//! It holds no header, no query and no body, so nothing secret.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::limits;

/// One line of the log. Status 0: no answer was given (a hang, a reset).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RequestLine {
    pub host: String,
    pub method: String,
    pub path: String,
    pub status: u16,
    pub count: u64,
}

/// The whole log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestLog {
    pub total: u64,
    pub requests: Vec<RequestLine>,
}

#[derive(Debug, Default)]
pub(crate) struct Requests(Mutex<BTreeMap<Line, u64>>);

type Line = (String, String, String, u16);

impl Requests {
    pub(crate) fn record(&self, host: &str, method: &str, path: &str, status: u16) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = (host.to_owned(), method.to_owned(), path.to_owned(), status);
        if lines.len() >= limits::REQUEST_LINES_MAX && !lines.contains_key(&line) {
            line = ("*".to_owned(), "*".to_owned(), "*".to_owned(), status);
        }
        *lines.entry(line).or_insert(0) += 1;
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn log(&self) -> RequestLog {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let requests: Vec<_> = lines
            .iter()
            .map(|((host, method, path, status), count)| RequestLine {
                host: host.clone(),
                method: method.clone(),
                path: path.clone(),
                status: *status,
                count: *count,
            })
            .collect();
        RequestLog { total: lines.values().sum(), requests }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_and_bounded() {
        let requests = Requests::default();
        requests.record("h", "GET", "/a", 200);
        requests.record("h", "GET", "/a", 200);
        for number in 0..limits::REQUEST_LINES_MAX + 10 {
            requests.record("h", "GET", &format!("/{number}"), 404);
        }
        let log = requests.log();
        let expected = u64::try_from(limits::REQUEST_LINES_MAX).unwrap() + 12;
        assert_eq!(log.total, expected);
        assert_eq!(log.requests.len(), limits::REQUEST_LINES_MAX + 1);
        let first = log.requests.iter().find(|line| line.path == "/a").unwrap();
        assert_eq!((first.count, first.status), (2, 200));
        requests.clear();
        assert_eq!(requests.log().total, 0);
    }
}
