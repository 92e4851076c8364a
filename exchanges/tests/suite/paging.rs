//! Where a full page goes on, and that no page is mistaken for the last.

use exchanges::binance::Binance;
use exchanges::{
    Connector as _, ExchangeError, FillsFrom, Market, Page, Query, TransferKind, UnixMillis, Window,
};

use crate::support::{context, fills, list, reply, spot, trade};

fn asked(from: FillsFrom, limit: u16, body: &str) -> Result<Page, ExchangeError> {
    spot(&Query::Fills { symbol: "BTCUSDT".to_owned(), from, limit }, body)
}

fn next_id(page: &Page) -> Option<u64> {
    match &page.next {
        None => None,
        Some(Query::Fills { symbol, from: FillsFrom::Id(id), limit: 3 }) if symbol == "BTCUSDT" => {
            Some(*id)
        }
        Some(other) => panic!("{other:?}"),
    }
}

const WINDOW: Window = Window::new(UnixMillis(0), UnixMillis(1000));

#[test]
fn a_full_page_of_fills_goes_on_after_its_last_id() {
    let full = list([5, 9, 7].map(trade));
    for from in [FillsFrom::Id(5), FillsFrom::Window(WINDOW)] {
        let page = asked(from, 3, &full).unwrap();
        assert_eq!(page.facts.len(), 3);
        assert_eq!(next_id(&page), Some(10));
    }
}

#[test]
fn a_page_that_is_not_full_is_the_last() {
    let page = asked(FillsFrom::Id(5), 3, &list([5, 9].map(trade))).unwrap();
    assert_eq!(next_id(&page), None);
    let none = asked(FillsFrom::Id(5), 3, "[]").unwrap();
    assert!(none.facts.is_empty() && none.next.is_none());
}

#[test]
fn a_full_page_that_would_not_move_is_an_error() {
    let stuck = ExchangeError::Malformed { field: "id" };
    let old = list([1, 2, 3].map(trade));
    assert_eq!(asked(FillsFrom::Id(4), 3, &old).err(), Some(stuck.clone()));
    let last = list([1, 2, u64::MAX].map(trade));
    assert_eq!(asked(FillsFrom::Id(1), 3, &last).err(), Some(stuck));
}

fn deposit(id: usize) -> String {
    format!(
        r#"{{"id":"{id}","amount":"1","coin":"BTC","status":1,"txId":"","insertTime":1700000000000}}"#
    )
}

#[test]
fn a_full_page_of_transfers_goes_on_at_an_offset() {
    let rows = |count| list((0..count).map(deposit));
    let query = Query::Deposits { window: WINDOW, cursor: Some("1000".parse().unwrap()) };
    assert_eq!(spot(&query, &rows(999)).unwrap().next, None);
    let next = spot(&query, &rows(1000)).unwrap().next;
    assert_eq!(
        next,
        Some(Query::Deposits { window: WINDOW, cursor: Some("2000".parse().unwrap()) })
    );
}

#[test]
fn a_full_page_of_bank_payments_goes_on_at_the_next() {
    let row = r#"{"orderNo":"1","fiatCurrency":"EUR","amount":"1","status":"Successful","createTime":1700000000000}"#;
    let body = |count: usize| {
        let rows = list(vec![row.to_owned(); count]);
        format!(r#"{{"code":"000000","data":{rows},"total":{count},"success":true}}"#)
    };
    let kind = TransferKind::Withdrawal;
    let query = Query::FiatOrders { kind, window: WINDOW, page: 1 };
    assert_eq!(spot(&query, &body(499)).unwrap().next, None);
    let next = spot(&query, &body(500)).unwrap().next;
    assert_eq!(next, Some(Query::FiatOrders { kind, window: WINDOW, page: 2 }));
}

fn income(rows: &[(u64, u64)], start: Option<u64>, page: u32) -> Option<(Option<u64>, u32)> {
    let body = list(rows.iter().map(|(id, time)| {
        format!(r#"{{"symbol":"","incomeType":"TRANSFER","income":"1","asset":"BTC","time":{time},"tranId":{id},"tradeId":""}}"#)
    }));
    let start = start.map(UnixMillis);
    let query = Query::Income { start, end: None, page, limit: 3 };
    let page = Binance::new(Market::UsdM).read(&query, reply(200, &body), &context()).unwrap();
    page.next.map(|next| match next {
        Query::Income { start, end: None, page, limit: 3 } => (start.map(|start| start.0), page),
        other => panic!("{other:?}"),
    })
}

#[test]
fn income_goes_on_by_time_and_past_one_instant_by_page() {
    let t = 1_700_000_000_000;
    assert_eq!(income(&[(1, t), (2, t + 1)], Some(t), 1), None);
    assert_eq!(income(&[(1, t), (2, t + 1), (3, t + 2)], Some(t), 1), Some((Some(t + 2), 1)));
    assert_eq!(income(&[(1, t), (2, t), (3, t)], Some(t), 1), Some((Some(t), 2)));
    assert_eq!(income(&[(4, t), (5, t), (6, t)], Some(t), 2), Some((Some(t), 3)));
    assert_eq!(income(&[(4, t), (5, t), (6, t + 9)], Some(t), 2), Some((Some(t + 9), 1)));
    assert_eq!(income(&[(1, t), (2, t), (3, t)], None, 1), Some((None, 2)));
}

#[test]
fn no_prefix_of_a_page_is_a_page() {
    let whole = list([5, 9, 7].map(trade));
    assert!(fills(&whole).is_ok());
    for end in 0..whole.len() {
        let cut = fills(&whole[..end]).err();
        assert_eq!(cut, Some(ExchangeError::Malformed { field: "body" }), "{end}");
    }
}

#[test]
fn one_bad_row_fails_the_page() {
    let rows = list([trade(1), trade(2).replace("\"2.5\"", "\"2,5\""), trade(3)]);
    assert_eq!(fills(&rows).err(), Some(ExchangeError::Malformed { field: "price" }));
}

#[test]
fn payments_that_are_counted_but_not_listed_are_no_empty_page() {
    let query = Query::fiat_orders(TransferKind::Deposit, WINDOW);
    let read = |body: &str| spot(&query, body).map(|page| page.facts.len());
    assert_eq!(read(r#"{"code":"000000","message":"success","success":true}"#), Ok(0));
    assert_eq!(read(r#"{"code":"000000","total":0,"success":true}"#), Ok(0));
    assert_eq!(
        read(r#"{"code":"000000","total":3,"success":true}"#),
        Err(ExchangeError::Malformed { field: "data" })
    );
    for refused in [
        r#"{"code":"100001001","message":"busy","success":false}"#,
        r#"{"code":"000000","data":[],"success":false}"#,
        r#"{"code":"100001001","data":[]}"#,
    ] {
        assert!(matches!(read(refused), Err(ExchangeError::Answered(_))), "{refused}");
    }
    assert!(read(r#"{"data":[],"success":true}"#).is_err());
}
