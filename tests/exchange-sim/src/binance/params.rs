//! Query and form parameters, read as strictly as the signature needs.

use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;

use crate::limits;

use super::refusal::Refusal;

/// Parameters of query and body, and both as they were sent.
#[derive(Debug)]
pub(super) struct Params {
    query: String,
    body: String,
    pairs: Vec<(String, String)>,
}

/// What every signed request carries.
const OF_A_SIGNATURE: [&str; 3] = ["timestamp", "recvWindow", "signature"];

impl Params {
    pub(super) fn parse(query: &str, body: &[u8]) -> Result<Self, Refusal> {
        let body = std::str::from_utf8(body).map_err(|_| Refusal::illegal("body", "UTF-8"))?;
        let mut pairs = Vec::new();
        for part in [query, body].into_iter().filter(|part| !part.is_empty()) {
            for pair in part.split('&') {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                pairs.push((decode(name)?, decode(value)?));
            }
        }
        if pairs.len() > limits::PARAMS_MAX {
            return Err(Refusal::too_many(limits::PARAMS_MAX, pairs.len()));
        }
        let names: BTreeSet<_> = pairs.iter().map(|(name, _)| name).collect();
        if names.len() != pairs.len() {
            return Err(Refusal::duplicate());
        }
        Ok(Self { query: query.to_owned(), body: body.to_owned(), pairs })
    }

    /// The rules for all parameters of an endpoint together.
    ///
    /// `/sapi` ignores names it does not read; the others refuse them.
    pub(super) fn check(&self, known: &[&str], signed: bool, path: &str) -> Result<(), Refusal> {
        if signed && ![&self.query, &self.body].into_iter().all(|text| is_encoded(text)) {
            return Err(Refusal::signature());
        }
        if let Some((name, _)) = self.pairs.iter().find(|(_, value)| value.is_empty()) {
            let mandatory = OF_A_SIGNATURE.contains(&name.as_str()) || name == "symbol";
            return Err(if mandatory { Refusal::mandatory(name) } else { Refusal::empty(name) });
        }
        let is_known =
            |name: &str| known.contains(&name) || (signed && OF_A_SIGNATURE.contains(&name));
        let read = self.pairs.iter().filter(|(name, _)| is_known(name)).count();
        if !path.starts_with("/sapi/") && read != self.pairs.len() {
            return Err(Refusal::unread(read, self.pairs.len()));
        }
        Ok(())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn mandatory(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| Refusal::mandatory(name))
    }

    /// A whole number, for ids and times.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        self.get(name).map(|value| whole(name, value)).transpose()
    }

    /// A page size: at least 1 and at most `max`.
    pub(super) fn limit(&self, name: &str, default: usize, max: usize) -> Result<usize, Refusal> {
        let Some(limit) = self.number(name)? else { return Ok(default) };
        let limit = usize::try_from(limit).ok().filter(|limit| (1..=max).contains(limit));
        limit.ok_or_else(|| Refusal::invalid(name))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Refusal::illegal(name, "^(true|false)$")),
        }
    }

    /// The signature, and the payload it must fit: query and body without it, joined by nothing.
    ///
    /// The signature is the last parameter of the part that holds it.
    pub(super) fn signature(&self) -> Result<(String, &str), Refusal> {
        let signature = self.mandatory("signature")?;
        for (part, other, body_first) in
            [(&self.query, &self.body, false), (&self.body, &self.query, true)]
        {
            let Some(at) = part.rfind("signature=") else { continue };
            let (before, last) = part.split_at_checked(at).ok_or_else(Refusal::signature)?;
            if last.contains('&') {
                return Err(Refusal::signature());
            }
            let before = match before.strip_suffix('&') {
                Some(before) => before,
                None if before.is_empty() => before,
                // The name of some other parameter ends in "signature".
                None => continue,
            };
            let payload =
                if body_first { format!("{other}{before}") } else { format!("{before}{other}") };
            return Ok((payload, signature));
        }
        Err(Refusal::signature())
    }
}

pub(super) fn whole(name: &str, value: &str) -> Result<u64, Refusal> {
    let digits = value.len() <= 20 && value.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { value.parse().ok() } else { None };
    number.ok_or_else(|| Refusal::illegal(name, "^[0-9]{1,20}$"))
}

fn decode(text: &str) -> Result<String, Refusal> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| Refusal::illegal("query", "UTF-8"))
}

/// Whether all that needs percent-encoding is encoded (RFC 3986 §2.3, and `*` as in forms).
fn is_encoded(text: &str) -> bool {
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let fine = match byte {
            b'%' => {
                let digits = [rest.next(), rest.next()];
                digits.iter().all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit()))
            }
            b'&' | b'=' | b'-' | b'.' | b'_' | b'~' | b'*' => true,
            _ => byte.is_ascii_alphanumeric(),
        };
        if !fine {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str, body: &str) -> Params {
        Params::parse(query, body.as_bytes()).unwrap()
    }

    fn code<T>(result: Result<T, Refusal>) -> i32 {
        result.err().map_or(0, |refusal| refusal.code)
    }

    #[test]
    fn the_payload_is_query_and_body_without_the_signature() {
        for (query, body, payload) in [
            ("a=1&signature=ff", "", "a=1"),
            ("", "a=1&signature=ff", "a=1"),
            ("a=1", "b=2&signature=ff", "a=1b=2"),
            ("a=1&signature=ff", "b=2", "a=1b=2"),
        ] {
            let params = parse(query, body);
            assert_eq!(params.signature().unwrap(), (payload.to_owned(), "ff"));
        }
    }

    #[test]
    fn the_signature_comes_last() {
        assert_eq!(code(parse("signature=ff&a=1", "").signature()), -1022);
        assert_eq!(code(parse("a=1", "").signature()), -1102);
        assert_eq!(code(parse("mysignature=1", "").signature()), -1102);
    }

    #[test]
    fn a_signed_request_is_percent_encoded() {
        for (query, encoded) in [
            ("a=%5B%22x%22%5D&b=1.5_~*-", true),
            ("a=[x]", false),
            ("a=x%2", false),
            ("a=x%zz", false),
            ("a=x+y", false),
            ("a=1,2", false),
            ("a=\u{ff11}", false),
        ] {
            let code = code(parse(query, "").check(&["a", "b"], true, "/api/x"));
            assert_eq!(code, if encoded { 0 } else { -1022 }, "{query}");
            assert_eq!(parse(query, "").check(&["a", "b"], false, "/api/x"), Ok(()));
        }
    }

    #[test]
    fn names_are_read_once_and_all_of_them() {
        assert_eq!(code(Params::parse("a=1&a=2", b"")), -1101);
        assert_eq!(code(Params::parse("a=1", b"a=1")), -1101);
        let params = parse("a=1&b=2", "");
        assert_eq!(code(params.check(&["a"], false, "/api/x")), -1104);
        assert_eq!(code(params.check(&["a"], false, "/sapi/x")), 0);
        assert_eq!(code(parse("a=", "").check(&["a"], false, "/api/x")), -1105);
        assert_eq!(code(parse("symbol=", "").check(&["symbol"], false, "/api/x")), -1102);
        let signed = parse("a=1&timestamp=1&recvWindow=1&signature=1", "");
        assert_eq!(code(signed.check(&["a"], true, "/api/x")), 0);
        assert_eq!(code(signed.check(&["a"], false, "/api/x")), -1104);
        let many = vec!["a"; limits::PARAMS_MAX + 1].join("&");
        assert_eq!(code(Params::parse(&many, b"")), -1101);
    }

    #[test]
    fn numbers_have_bounds() {
        let params = parse("limit=1000&zero=0&big=1001&word=ten&signed=-1", "");
        assert_eq!(params.limit("limit", 500, 1000), Ok(1000));
        assert_eq!(params.limit("none", 500, 1000), Ok(500));
        for (name, expected) in
            [("zero", -1130), ("big", -1130), ("word", -1100), ("signed", -1100)]
        {
            assert_eq!(code(params.limit(name, 500, 1000)), expected, "{name}");
        }
    }
}
