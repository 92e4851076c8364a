//! `GET /openapi.json`: the description of the API, checked in as a file.
//!
//! It is written by hand, because what matters in it (sealed answers, the MAC
//! headers) is not in any handler's type. Tests hold it against the routes, the
//! categories and the messages themselves.

use axum::http::StatusCode;
use axum::response::Response;

const DOCUMENT: &str = include_str!("../../openapi.json");

pub(super) async fn document() -> Response {
    std::future::ready(super::json(StatusCode::OK, DOCUMENT.into())).await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use protocol::category::Category;
    use protocol::key_bundle::{AttestationReply, KeyBundle};
    use protocol::keys::EnclavePublicKey;
    use protocol::portfolio::PortfolioId;
    use protocol::request_auth::{HEADER_MAC, HEADER_NONCE, HEADER_SESSION, HEADER_TIMESTAMP};
    use protocol::session::{
        AccountStatus, End, Ended, ErrorBody, ErrorDetail, Identity, IdentityKind, OpenedAccount,
        OpenedSession, Permission, SessionId, SessionStatus,
    };
    use protocol::time::UnixMillis;
    use serde_json::Value;

    use super::*;
    use crate::http::ROUTES;

    fn document() -> Value {
        serde_json::from_str(DOCUMENT).unwrap()
    }

    #[test]
    fn it_describes_exactly_the_routes_there_are() {
        let document = document();
        let mut described = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                described.insert((method.to_uppercase(), path.clone()));
                let route = ROUTES
                    .iter()
                    .find(|route| route.path == path && route.method == method.to_uppercase())
                    .expect(path);
                assert_eq!(operation.get("requestBody").is_some(), route.body, "{path}");
                assert_eq!(operation.get("parameters").is_some(), route.query, "{path}");
                let sessions_own = path.starts_with("/v1/session") && path != "/v1/sessions";
                assert_eq!(operation.get("security").is_some(), sessions_own, "{path}");
            }
        }
        let served: BTreeSet<_> =
            ROUTES.iter().map(|r| (r.method.to_string(), r.path.to_owned())).collect();
        assert_eq!(described, served);
    }

    #[test]
    fn it_names_the_version_the_codes_and_the_headers() {
        let document = document();
        assert_eq!(document["info"]["version"], crate::VERSION);
        let codes = document["components"]["schemas"]["Code"]["enum"].as_array().unwrap();
        let ours: Vec<Value> = Category::ALL.iter().map(|c| c.code().into()).collect();
        assert_eq!(*codes, ours);
        let headers: BTreeSet<_> = document["components"]["securitySchemes"]
            .as_object()
            .unwrap()
            .values()
            .map(|scheme| scheme["name"].as_str().unwrap().to_owned())
            .collect();
        let ours = [HEADER_SESSION, HEADER_NONCE, HEADER_TIMESTAMP, HEADER_MAC];
        assert_eq!(headers, ours.map(str::to_owned).into());
    }

    #[test]
    fn every_message_is_of_its_described_form() {
        let identity = Identity { kind: IdentityKind::Uid, value: "1".into() };
        let account = OpenedAccount {
            label: "a".into(),
            venue: "binance".into(),
            market: "spot".into(),
            identity: identity.clone(),
            permissions: vec![Permission::Read],
        };
        let polled = AccountStatus {
            label: "a".into(),
            venue: "binance".into(),
            market: "spot".into(),
            identity,
            last_complete_poll: Some(UnixMillis(1)),
            next_poll: None,
            last_error: Some(Category::Throttled),
            polls_complete: 1,
            polls_incomplete: 0,
        };
        let portfolio = PortfolioId([1; 32]);
        let at = UnixMillis(5);
        let error = |detail| ErrorBody {
            code: Category::Refused,
            message: "no".into(),
            request_id: "00".into(),
            detail,
        };
        let bundle = KeyBundle::new(EnclavePublicKey([1; 32]), [2; 32], b"{}".to_vec());
        for (name, message) in [
            (
                "OpenedSession",
                OpenedSession::new(SessionId::from_bytes([1; 32]), at, portfolio, vec![account])
                    .to_json(),
            ),
            (
                "SessionStatus",
                SessionStatus::active(at, at, portfolio, vec![polled], None, true).to_json(),
            ),
            ("Ended", Ended::new(End::Revoked, at).to_json()),
            ("Error", error(None).to_json()),
            (
                "SealedError",
                error(Some(ErrorDetail { account: "a".into(), remove: vec!["x".into()] }))
                    .to_json(),
            ),
            (
                "AttestationReply",
                AttestationReply { document: vec![1], key_bundle: bundle }.to_json(),
            ),
        ] {
            let message: Value = serde_json::from_slice(&message).unwrap();
            let document = document();
            let schema = &document["components"]["schemas"][name];
            assert_eq!(mismatch(&document, schema, &message), None, "{name}: {message}");
        }
    }

    #[test]
    fn the_check_of_forms_can_fail() {
        let document = document();
        let schema = &document["components"]["schemas"]["Ended"];
        for wrong in [
            r#"{"v":2,"ended":"revoked","at":1}"#,
            r#"{"v":1,"ended":"lost","at":1}"#,
            r#"{"v":1,"ended":"revoked"}"#,
            r#"{"v":1,"ended":"revoked","at":"1"}"#,
            r#"{"v":1,"ended":"revoked","at":1,"more":1}"#,
        ] {
            let value = serde_json::from_str(wrong).unwrap();
            assert!(mismatch(&document, schema, &value).is_some(), "{wrong}");
        }
    }

    /// As much of JSON Schema as the document uses: the first place where
    /// `value` is not of `schema`.
    fn mismatch(document: &Value, schema: &Value, value: &Value) -> Option<String> {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.rsplit('/').next().unwrap();
            return mismatch(document, &document["components"]["schemas"][name], value);
        }
        if let Some(options) = schema["oneOf"].as_array() {
            let fits = options.iter().any(|o| mismatch(document, o, value).is_none());
            return (!fits).then(|| format!("none of the forms: {value}"));
        }
        if let Some(constant) = schema.get("const") {
            return (constant != value).then(|| format!("not {constant}: {value}"));
        }
        if let Some(values) = schema["enum"].as_array() {
            return (!values.contains(value)).then(|| format!("none of the words: {value}"));
        }
        let right_type = match schema["type"].as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_u64(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            other => panic!("unknown type {other}"),
        };
        if !right_type {
            return Some(format!("not of type {}: {value}", schema["type"]));
        }
        if let Some(items) = value.as_array() {
            return items.iter().find_map(|item| mismatch(document, &schema["items"], item));
        }
        let properties = schema["properties"].as_object()?;
        let fields = value.as_object()?;
        let missing = schema["required"]
            .as_array()
            .unwrap()
            .iter()
            .find(|name| !fields.contains_key(name.as_str().unwrap()));
        if let Some(name) = missing {
            return Some(format!("{name} is missing"));
        }
        fields.iter().find_map(|(name, value)| match properties.get(name) {
            None => Some(format!("{name} is not described")),
            Some(schema) => mismatch(document, schema, value),
        })
    }
}
