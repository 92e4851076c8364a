//! A connector, driven over a socket: one request a connection, all pages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use exchange_sim::Sim;
use exchanges::{
    Connector, Context, Credentials, Fact, Fill, Liquidity, Market, Money, Nonce, Page, Query,
    Reply, Request, Side, TransferStatus, UnixMillis, Venue, Window,
};
use rust_decimal::Decimal;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::account::{self, Account, Held, Ticker, Trade, Transfer};
use crate::{Question, Subject};

impl Subject<'_> {
    pub(crate) fn is_futures(&self) -> bool {
        matches!(self.market, Market::UsdM | Market::CoinM)
    }
}

/// Reads `subject` with `connector`.
pub async fn read(connector: &dyn Connector, subject: &Subject<'_>) -> Account {
    let reader = Reader { connector, subject, made: AtomicU64::new(0) };
    let instruments = reader.ask(&Query::Instruments, &Context::default()).await;
    let instruments = instruments.into_iter().map(|fact| match fact {
        Fact::Instrument(instrument) => instrument,
        other => panic!("not an instrument: {other:?}"),
    });
    let context = Context::new(instruments);
    let mut account = Account::default();
    for question in subject.questions {
        match question {
            Question::Balances => reader.balances(&context, &mut account).await,
            Question::Trades => reader.trades(&context, &mut account).await,
            Question::Deposits => {
                let facts = reader.ask(&Query::deposits(reader.window()), &context).await;
                account.deposits = facts.into_iter().map(transfer).collect();
            }
            Question::Withdrawals => {
                let facts = reader.ask(&Query::withdrawals(reader.window()), &context).await;
                account.withdrawals = facts.into_iter().map(transfer).collect();
            }
            Question::Tickers => reader.tickers(&context, &mut account).await,
        }
    }
    account.settled()
}

struct Reader<'a> {
    connector: &'a dyn Connector,
    subject: &'a Subject<'a>,
    /// Requests so far: where an exchange counts them, no two may have one time.
    made: AtomicU64,
}

impl Reader<'_> {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.subject.sim.clock.view().now_ms)
    }

    /// The day that ends now; a scenario is shorter.
    fn window(&self) -> Window {
        let now = self.now();
        Window::new(UnixMillis(now.0 - 24 * 3600 * 1000), now)
    }

    async fn ask(&self, query: &Query, context: &Context) -> Vec<Fact> {
        let mut facts = Vec::new();
        let mut next = Some(query.clone());
        while let Some(query) = next {
            let page = self.page(&query, context).await;
            facts.extend(page.facts);
            next = page.next;
        }
        facts
    }

    async fn page(&self, query: &Query, context: &Context) -> Page {
        let key = self.subject.key;
        let credentials =
            Credentials { key: &key.api_key, secret: key.api_secret.as_bytes(), passphrase: None };
        let made = self.made.fetch_add(1, Ordering::Relaxed);
        let counted = if self.connector.counts_requests() { made } else { 0 };
        let at = UnixMillis(self.now().0 + counted);
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&made.to_be_bytes());
        let request =
            self.connector.request_with(query, Some(&credentials), at, &Nonce(nonce)).unwrap();
        let (status, body) = exchange(self.subject.sim, &request).await;
        let reply = Reply { status, headers: &[], body: &body };
        self.connector
            .read(query, reply, context)
            .unwrap_or_else(|error| panic!("{query:?}: {status}: {error}"))
    }

    async fn balances(&self, context: &Context, account: &mut Account) {
        let query =
            if self.subject.is_futures() { Query::FuturesBalances } else { Query::balances() };
        for fact in self.ask(&query, context).await {
            match fact {
                Fact::Balance(it) => {
                    // ccxt knows savings by the name that the exchange gives them.
                    let asset = match it.wallet.as_str() {
                        "earn" => format!("LD{}", it.asset),
                        "auto_earn" => format!("{}.F", it.asset),
                        _ => it.asset,
                    };
                    let held = account.balances.entry(asset).or_default();
                    held.free += it.free;
                    held.used = Some(held.used.unwrap_or_default() + it.used);
                    held.total += it.total;
                    held.debt += it.borrowed + it.interest;
                }
                Fact::FuturesBalance(it) => {
                    let held = Held {
                        free: it.available,
                        used: None,
                        total: it.equity,
                        debt: Decimal::ZERO,
                    };
                    account.balances.insert(it.asset, held);
                }
                Fact::Identity(_) | Fact::Wallet(_) => {}
                other => panic!("not a balance: {other:?}"),
            }
        }
    }

    async fn trades(&self, context: &Context, account: &mut Account) {
        let questions = if self.subject.venue == Venue::Binance {
            let pairs = self.raw_symbols(context).into_iter();
            pairs.map(|pair| Query::fills_in(pair, self.window())).collect()
        } else {
            vec![Query::account_fills(self.window(), 50)]
        };
        for question in questions {
            let facts = self.ask(&question, context).await;
            account.trades.extend(facts.into_iter().map(|fact| match fact {
                Fact::Fill(fill) => trade(fill),
                other => panic!("not a fill: {other:?}"),
            }));
        }
    }

    async fn tickers(&self, context: &Context, account: &mut Account) {
        for symbol in self.raw_symbols(context) {
            for fact in self.ask(&Query::Ticker { symbol }, context).await {
                let Fact::Ticker(it) = fact else { panic!("not a ticker: {fact:?}") };
                account.tickers.push(Ticker {
                    symbol: it.symbol,
                    last: it.last,
                    bid: it.bid,
                    ask: it.ask,
                    at_ms: it.at.map(|at| at.0),
                });
            }
        }
    }

    /// The exchange's names of the subject's symbols.
    fn raw_symbols(&self, context: &Context) -> Vec<String> {
        let raw = |symbol: &&str| {
            let found = context.instruments().find(|(_, instrument)| instrument.symbol == **symbol);
            found.unwrap_or_else(|| panic!("{symbol} is not listed")).1.raw.clone()
        };
        self.subject.symbols.iter().map(raw).collect()
    }
}

fn money(money: Money) -> account::Money {
    (money.asset, money.amount)
}

fn trade(fill: Fill) -> Trade {
    Trade {
        symbol: fill.instrument.symbol.clone(),
        id: fill.id,
        order: fill.order_id,
        side: match fill.side {
            Side::Buy => "buy",
            Side::Sell => "sell",
        }
        .to_owned(),
        price: fill.price,
        amount: fill.amount,
        fee: fill.fee.map(money),
        liquidity: fill.liquidity.map(|liquidity| {
            match liquidity {
                Liquidity::Maker => "maker",
                Liquidity::Taker => "taker",
            }
            .to_owned()
        }),
        at_ms: fill.at.0,
    }
}

fn transfer(fact: Fact) -> Transfer {
    let Fact::Transfer(it) = fact else { panic!("not a transfer: {fact:?}") };
    Transfer {
        id: it.id,
        txid: it.txid,
        asset: it.asset,
        amount: it.amount,
        fee: it.fee.map(money),
        status: match it.status {
            TransferStatus::Ok => "ok",
            TransferStatus::Pending => "pending",
            TransferStatus::Failed => "failed",
            TransferStatus::Canceled => "canceled",
            TransferStatus::Unknown => "unknown",
        }
        .to_owned(),
        at_ms: it.at.0,
    }
}

/// One request over TLS; status and body.
async fn exchange(sim: &Sim, request: &Request) -> (u16, Vec<u8>) {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(sim.root_pem.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    #[expect(clippy::disallowed_methods, reason = "a test's client, on loopback")]
    let stream = TcpStream::connect(sim.addr).await.unwrap();
    let name = ServerName::try_from(request.host()).unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let mut lines = vec![
        format!("{} {} HTTP/1.1", request.method().name(), request.path_and_query().as_str()),
        format!("Host: {}", request.host()),
        "Connection: close".to_owned(),
        format!("Content-Length: {}", request.body().len()),
    ];
    lines.extend(request.headers().map(|(name, value)| format!("{name}: {value}")));
    let head = lines.join("\r\n") + "\r\n\r\n";
    stream.write_all(&[head.as_bytes(), request.body()].concat()).await.unwrap();
    stream.flush().await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let split = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let (head, body) = bytes.split_at(split + 4);
    let head = str::from_utf8(head).unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_vec())
}
