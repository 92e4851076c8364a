//! `docs/errors.md` and the code have the same list.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a document that cannot be read has to stop its test"
)]

use std::fs;
use std::path::Path;

use protocol::category::Category;

struct Row {
    code: String,
    who: String,
    status: u16,
    exit: u8,
}

fn rows() -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md");
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .skip_while(|line| !line.starts_with("| code | meaning"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [code, _, who, status, exit] = cells[..] else { panic!("{line}") };
            Row {
                code: code.trim_matches('`').to_owned(),
                who: who.to_owned(),
                status: status.parse().unwrap(),
                exit: exit.parse().unwrap(),
            }
        })
        .collect()
}

#[test]
fn the_document_lists_exactly_the_categories_in_order() {
    let documented: Vec<_> = rows().into_iter().map(|row| row.code).collect();
    assert_eq!(documented, Category::ALL.map(Category::code));
}

#[test]
fn every_category_says_who_acts_and_has_a_status_and_an_exit_code() {
    for row in rows() {
        assert!(!row.who.is_empty(), "{}", row.code);
        assert!((400..600).contains(&row.status), "{}", row.code);
        assert!((2..=5).contains(&row.exit), "{}", row.code);
    }
}

#[test]
fn codes_are_distinct_and_are_the_words_on_the_wire() {
    for (index, category) in Category::ALL.into_iter().enumerate() {
        let word = serde_json::to_string(&category).unwrap();
        assert_eq!(word, format!("\"{}\"", category.code()));
        assert_eq!(serde_json::from_str::<Category>(&word).unwrap(), category);
        assert!(Category::ALL[..index].iter().all(|other| other.code() != category.code()));
    }
}
