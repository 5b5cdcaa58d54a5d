//! Every example of `docs/queries.md` is tried.
//!
//! The blocks are told apart by their language: `schema` is the database of the examples. `pql` is one query: it
//! compiles, and its last comment is the kind of its task, or `not served`; or it is followed by a `text` block, which
//! is its error. `target` and `filter` hold one target and one filter over `orders` per line.

use relational::Schema;

use crate::schema;

struct Block {
    language: String,
    text: String,
}

fn blocks(manual: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    // Between two fences stands, in turns, prose and a block with its language in the first line.
    for block in manual.split("```").skip(1).step_by(2) {
        let (language, text) = block.split_once('\n').expect("a block has lines");
        blocks.push(Block { language: language.to_owned(), text: text.trim_end().to_owned() });
    }
    blocks
}

#[test]
fn every_example_of_the_manual_does_what_it_says() {
    let manual = schema::read("../docs/queries.md");
    let blocks = blocks(&manual);
    let database = blocks.iter().find(|block| block.language == "schema").expect("the manual shows its database");
    let database = schema::parse(&database.text);
    let mut tried = 0;
    for (index, block) in blocks.iter().enumerate() {
        let next = blocks.get(index + 1).filter(|next| next.language == "text");
        match (block.language.as_str(), next) {
            ("pql", Some(expected)) => {
                let error = pql::compile("manual", &block.text, &database).expect_err(&block.text);
                assert_eq!(error.render(), expected.text);
            }
            ("pql", None) => assert_eq!(claim(&block.text), outcome(&block.text, &database), "{}", block.text),
            ("target", _) => {
                for line in block.text.lines() {
                    let (target, _) = line.split_once('#').expect("a comment says the kind");
                    let query = format!("PREDICT {target} FOR EACH customers.id");
                    assert_eq!(claim(line), outcome(&query, &database), "{query}");
                }
            }
            ("filter", _) => {
                for line in block.text.lines() {
                    let query = format!("PREDICT COUNT(orders.* WHERE {line}\n, 0, 30) > 0 FOR EACH customers.id");
                    assert_eq!(outcome(&query, &database), "binary classification", "{query}");
                }
            }
            ("schema" | "text", _) => continue,
            (other, _) => panic!("unknown language {other}"),
        }
        tried += 1;
    }
    assert!(tried > 15, "only {tried} blocks were found");
}

/// What the last comment says.
fn claim(text: &str) -> String {
    text.rsplit_once('#').expect("a comment says the kind").1.trim().to_owned()
}

fn outcome(query: &str, schema: &Schema) -> String {
    let task = pql::compile("manual", query, schema).unwrap_or_else(|error| panic!("{error}"));
    if pql::unsupported(&task, schema).is_some() { "not served".to_owned() } else { task.kind.name().to_owned() }
}
