//! What a CONNECT request asks for.

use crate::http::Request;

/// Host and port of the authority form (RFC 9112 §3.2.3), as they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    pub host: &'a str,
    pub port: u16,
}

impl<'a> Target<'a> {
    /// `None` unless the target is `host:port`, the port is a plain decimal and
    /// `Host`, where there is one, says the same. What the host may be is the
    /// allow-list's business.
    pub fn parse(request: &'a Request) -> Option<Self> {
        let (host, port_text) = request.target.rsplit_once(':')?;
        let decimal = (1..=5).contains(&port_text.len())
            && port_text.bytes().all(|byte| byte.is_ascii_digit())
            && !port_text.starts_with('0');
        let port = decimal.then(|| port_text.parse().ok()).flatten()?;
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"/?#@\\%,\"<>".contains(&byte);
        if host.is_empty() || !host.bytes().all(plain) {
            return None;
        }
        let agrees =
            request.host.as_deref().is_none_or(|said| said == request.target || said == host);
        agrees.then_some(Self { host, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Method;

    fn parse(target: &str, host: Option<&str>) -> Option<(String, u16)> {
        let request = Request {
            method: Method::Connect,
            target: target.to_owned(),
            host: host.map(str::to_owned),
            rest: Vec::new(),
        };
        Target::parse(&request).map(|target| (target.host.to_owned(), target.port))
    }

    #[test]
    fn an_authority_is_split_at_its_port() {
        let want = Some(("a.bc".to_owned(), 443));
        assert_eq!(parse("a.bc:443", None), want);
        assert_eq!(parse("a.bc:443", Some("a.bc:443")), want);
        assert_eq!(parse("a.bc:443", Some("a.bc")), want);
        // A well-formed request for something that no list holds.
        assert_eq!(parse("[::1]:443", None), Some(("[::1]".to_owned(), 443)));
        assert_eq!(parse("A.bc.:443", None), Some(("A.bc.".to_owned(), 443)));
    }

    #[test]
    fn anything_else_is_malformed() {
        for target in [
            "a.bc",
            "a.bc:",
            ":443",
            "a.bc:0",
            "a.bc:0443",
            "a.bc:+443",
            "a.bc:65536",
            "a.bc:100000",
            "a.bc:44 3",
            "/a.bc:443",
            "http://a.bc:443",
            "u@a.bc:443",
            "a.bc/x:443",
            "a%2ebc:443",
            "a.bc?:443",
            "a.bc#:443",
            "a\\bc:443",
            "a,b:443",
            "*",
        ] {
            assert_eq!(parse(target, None), None, "{target}");
        }
        for host in ["", "other.bc", "a.bc:80", "A.bc", "a.bc:443 ", "a.bc.:443"] {
            assert_eq!(parse("a.bc:443", Some(host)), None, "{host}");
        }
    }
}
