//! Tests over everything at once, and of the house itself.

mod broker; // a real Kafka broker
mod debezium_records; // real captures, decoded
mod docs; // what the documentation shows is true: configs, commands
mod evolution; // the schema changes while the program runs
mod files; // where the repository's files are
mod kafka_audit; // what was published there, made again
mod kafka_exactly_once; // scores in transactions of that broker
mod kafka_kills; // the program against that broker, killed again and again
mod kafka_others; // a second process, and a broker that is away
mod kafka_shop; // a shop whose payments are scored there
mod kafka_sink; // the Kafka sink against a real broker
mod kafka_source; // the Kafka source against that broker
mod labels; // labels equal published tables
mod learning; // configs that leave the tables to be learnt
mod licences; // what we build on may be built on
mod mutations; // real records, damaged at random
mod postgres; // a real database, and Debezium that reads it
mod postgres_to_scores; // from that database to the scores
mod pressure; // large records in many partitions
mod program; // the program as a user runs it
mod registry; // records whose schemas are in a registry
mod report; // the report of a backtest in a real browser
mod secured; // a broker that lets in only whom it knows
mod soak; // hours of a shop, at high speed
mod tidy; // rules of the house that no compiler keeps
mod transactions; // what the source wrote in one transaction becomes visible together
