//! Opening a session and speaking for it, over attested connections alone.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use protocol::category::Category;
use protocol::claim::{ClaimPeriod, ClaimReply, ClaimRequest, Predicate};
use protocol::envelope::{self, Ephemeral};
use protocol::keys::KeyId;
use protocol::portfolio::PortfolioSecret;
use protocol::reply::{self, ReplyContext, ReplyKey, SealedReply};
use protocol::request_auth::{self, Request};
use protocol::session::{
    AccountRequest, Ended, ErrorBody, OpenSession, OpenedSession, SessionStatus, Ttl,
};
use zeroize::Zeroizing;

use crate::attest::Attested;
use crate::connection::{Answer, Connection};
use crate::error::ClientError;
use crate::random;
use crate::service::Service;
use crate::session_file::SavedSession;

/// What a customer asks for when opening a session.
#[derive(Debug)]
pub struct Wanted {
    pub accounts: Vec<AccountRequest>,
    pub ttl: Ttl,
    pub base_currency: String,
}

impl Attested {
    /// Seals the credentials to the attested key and opens a session.
    pub async fn open_session(
        mut self,
        service: Service,
        wanted: Wanted,
        portfolio: &PortfolioSecret,
    ) -> Result<(SavedSession, OpenedSession), ClientError> {
        let ephemeral = Ephemeral::new(Zeroizing::new(random::bytes::<32>()?));
        let ephemeral_pub = *ephemeral.public();
        let request_nonce = random::bytes::<16>()?;
        let key_id = self.attestation.encryption_key().key_id();
        let open = OpenSession {
            request_nonce,
            attested_at: self.attestation.timestamp(),
            ttl: wanted.ttl,
            base_currency: wanted.base_currency,
            portfolio_key: portfolio.public(),
            accounts: wanted.accounts,
        };
        let plaintext = open.sign(portfolio, &key_id, &ephemeral_pub).map_err(|error| {
            ClientError::usage(error.to_string(), "check the accounts file and the options")
        })?;
        drop(open);
        let (envelope, keys) =
            envelope::seal_to(&self.attestation, ephemeral, random::bytes::<12>()?, &plaintext)
                .map_err(|error| {
                    ClientError::usage(error.to_string(), "send fewer accounts at once")
                })?;
        drop(plaintext);

        let answer = self
            .http
            .call(Method::POST, "/v1/sessions", HeaderMap::new(), envelope.to_json())
            .await?;
        let context = Context { key_id, ephemeral_pub, reply: &keys.reply };
        let body = context.unseal(&answer, &request_nonce)?;
        if answer.status != StatusCode::CREATED {
            return Err(ClientError::of_body(&body));
        }
        let opened = OpenedSession::from_json(&body).map_err(|_| ClientError::Malformed)?;
        let saved = SavedSession {
            id: opened.session_id.clone(),
            key_id: key_id.0,
            ephemeral_pub,
            keys,
            expires_at: opened.expires_at,
            portfolio_id: opened.portfolio_id,
            service,
        };
        Ok((saved, opened))
    }
}

/// An attested connection that speaks for one session.
#[derive(Debug)]
pub struct Caller<'a> {
    attested: Attested,
    session: &'a SavedSession,
}

impl SavedSession {
    /// Connects and attests anew: a connection is trusted for its own document alone.
    pub async fn caller(&self) -> Result<Caller<'_>, ClientError> {
        let attested = Connection::open(&self.service.url).await?.attest(&self.service).await?;
        if attested.attestation.encryption_key().key_id().0 != self.key_id {
            return Err(ClientError::Refused {
                code: Category::WrongKey.code().to_owned(),
                message: "the enclave that held this session is gone".to_owned(),
                detail: Some("open a new session with `perfagg connect`".to_owned()),
            });
        }
        Ok(Caller { attested, session: self })
    }
}

impl Caller<'_> {
    /// How the session is doing.
    pub async fn status(&mut self) -> Result<SessionStatus, ClientError> {
        let body = self.call(Method::GET, "/v1/session", Vec::new()).await?;
        SessionStatus::from_json(&body).map_err(|_| ClientError::Malformed)
    }

    /// The bytes of the signed report; not yet verified.
    pub async fn report(&mut self) -> Result<Vec<u8>, ClientError> {
        let mut body = self.call(Method::GET, "/v1/session/report", Vec::new()).await?;
        Ok(std::mem::take(&mut *body))
    }

    /// The bytes of a signed claim, not yet verified, or why there is none.
    pub async fn claim(
        &mut self,
        period: ClaimPeriod,
        predicates: Vec<Predicate>,
        portfolio: &PortfolioSecret,
    ) -> Result<ClaimReply, ClientError> {
        let claim = ClaimRequest::new(period, predicates, self.attested.attestation.timestamp());
        let body = claim
            .sign(portfolio, &KeyId(self.session.key_id), &self.session.ephemeral_pub)
            .map_err(|error| ClientError::usage(error.to_string(), "ask for less at once"))?;
        let reply = self.call(Method::POST, "/v1/session/claim", body).await?;
        ClaimReply::parse(&reply).map_err(|_| ClientError::Malformed)
    }

    /// Ends the session; the enclave has wiped its keys when this returns.
    pub async fn revoke(&mut self) -> Result<Ended, ClientError> {
        let body = self.call(Method::DELETE, "/v1/session", Vec::new()).await?;
        Ended::from_json(&body).map_err(|_| ClientError::Malformed)
    }

    async fn call(
        &mut self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        let session = self.session;
        let nonce = random::bytes::<16>()?;
        let now = session.service.clock.now().await?;
        let request = Request { method: method.as_str(), path_and_query: path, body: &body };
        let auth = request_auth::sign(&session.keys.request, &request, &session.id, nonce, now)
            .map_err(|_| ClientError::Internal("a request cannot be signed".into()))?;
        let mut headers = HeaderMap::new();
        for (name, value) in auth.headers() {
            let mut value = HeaderValue::try_from(value)
                .map_err(|_| ClientError::Internal("a header cannot be written".into()))?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), value);
        }
        let answer = self.attested.http.call(method, path, headers, body).await?;
        let context = Context {
            key_id: KeyId(session.key_id),
            ephemeral_pub: session.ephemeral_pub,
            reply: &session.keys.reply,
        };
        let body = context.unseal(&answer, &nonce)?;
        if answer.status.is_success() { Ok(body) } else { Err(ClientError::of_body(&body)) }
    }
}

/// What every sealed answer of a session is bound to.
struct Context<'a> {
    key_id: KeyId,
    ephemeral_pub: [u8; 32],
    reply: &'a ReplyKey,
}

impl Context<'_> {
    /// Opens a sealed answer. A plain one is an error by itself: it came
    /// before the enclave knew the keys.
    fn unseal(&self, answer: &Answer, nonce: &[u8; 16]) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        if !answer.sealed {
            return Err(answer.refusal());
        }
        let sealed = SealedReply::from_json(&answer.body).map_err(|_| ClientError::Malformed)?;
        let open = |request_nonce| {
            let context = ReplyContext {
                key_id: &self.key_id,
                ephemeral_pub: &self.ephemeral_pub,
                request_nonce,
            };
            reply::open(self.reply, &context, &sealed)
        };
        open(nonce)
            .or_else(|error| {
                // The enclave could not read our nonce: only a refusal may be bound to none.
                if answer.status.is_success() { Err(error) } else { open(&reply::NONCE_UNREAD) }
            })
            .map_err(|_| {
                ClientError::not_verified(
                    "sealed reply",
                    "the answer is not sealed by this enclave for this request",
                )
            })
    }
}

impl Answer {
    /// The error a plain answer stands for.
    pub(crate) fn refusal(&self) -> ClientError {
        if self.status.is_success() {
            return ClientError::not_verified("sealed reply", "the answer is not sealed");
        }
        // Only a sealed answer tells a customer what to do.
        let mut error = ClientError::of_body(&self.body);
        if let ClientError::Refused { detail, .. } = &mut error {
            *detail = None;
        }
        error
    }

    /// The error that a peer names which nobody has verified: its words are not repeated.
    pub(crate) fn unverified_refusal(&self) -> ClientError {
        let code = ErrorBody::from_json(&self.body).ok().map(|body| body.code);
        match code {
            None | Some(Category::Unavailable) => ClientError::unreachable(
                "a verifiable enclave",
                &format!("the answer is `{}`", code.map_or("malformed", Category::code)),
            ),
            Some(code) => ClientError::Refused {
                code: code.code().to_owned(),
                message: "by a service that is not verified".to_owned(),
                detail: None,
            },
        }
    }
}

impl ClientError {
    fn of_body(body: &[u8]) -> Self {
        let Ok(body) = ErrorBody::from_json(body) else { return Self::Malformed };
        if body.code == Category::Unavailable {
            return Self::unreachable("the service behind the enclave", &body.message);
        }
        let detail = body.detail.filter(|detail| !detail.remove.is_empty()).map(|detail| {
            format!(
                "remove these permissions from the key of account `{}` at the exchange, or make a \
                 read-only key: {}",
                detail.account,
                detail.remove.join(", ")
            )
        });
        Self::Refused { code: body.code.code().to_owned(), message: body.message, detail }
    }
}
