//! Golden files as `scripts/golden/make.py` writes them.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use relational::Value;
use safetensors::SafeTensors;
use serde_json::Value as Json;

use super::super::compute::Compute;
use super::super::config::Config;
use super::super::dice::Dice;
use super::super::graph::{Graph, Link, Relationship};
use super::super::label::Labels;
use super::super::member::{FitOptions, Model};
use super::super::network::Network;
use super::super::sample::{Sample, TableRows};
use super::super::weights::Weights;
use super::weights;

/// One golden file.
pub(super) struct Case {
    pub(super) context: Sample,
    /// All queries in one sample.
    pub(super) asked: Sample,
    /// One sample per query.
    pub(super) queries: Vec<Sample>,
    pub(super) labels: Labels,
    pub(super) options: FitOptions,
    pub(super) model: Model,
    /// The places of the reference's columns among the classes in their order.
    order: Vec<usize>,
    tensors: BTreeMap<String, Tensor>,
}

/// The recorded draws, in their order.
pub(super) struct Recording(VecDeque<Vec<f32>>);

impl Dice for Recording {
    fn permutation(&mut self, length: usize) -> Vec<usize> {
        let draw = self.0.pop_front().expect("the reference draws as often");
        assert_eq!(draw.len(), length, "the reference draws as many");
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "places are small whole numbers")]
        draw.iter().map(|place| *place as usize).collect()
    }

    fn normals(&mut self, count: usize) -> Vec<f32> {
        if count == 0 {
            return Vec::new();
        }
        let draw = self.0.pop_front().expect("the reference draws as often");
        assert_eq!(draw.len(), count, "the reference draws as many");
        draw
    }
}

impl Case {
    pub(super) fn read(name: &str) -> Self {
        Self::read_for(name, Compute::processor())
    }

    pub(super) fn read_for(name: &str, compute: Compute) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.safetensors"));
        let bytes = std::fs::read(&path).expect("the golden file is there");
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("it is a safetensors file");
        let text = header.metadata().as_ref().and_then(|entries| entries.get("case")).expect("it describes its case");
        let case: Json = serde_json::from_str(text).expect("the description is JSON");
        let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).expect("it holds tensors");
        let narrow = |(name, tensor): (String, Tensor)| (name, tensor.to_dtype(DType::F32).expect("numbers"));
        let relationships = relationships(&case);
        let context = sample(&case, "context", &relationships);
        let asked = sample(&case, "query", &relationships);
        let queries = split(&asked, &relationships);
        let number = |name: &str| case[name].as_u64().map(to_usize).expect("a number");
        Self {
            labels: labels(&case),
            model: model(&case, compute),
            options: FitOptions {
                relationships,
                hops: number("hops"),
                estimators: number("estimators"),
                bytes_max: 1 << 30,
            },
            order: order(&case),
            context,
            asked,
            queries,
            tensors: tensors.into_iter().map(narrow).collect(),
        }
    }

    pub(super) fn draws(&self) -> Recording {
        let draw = |index: usize| self.tensors.get(&format!("draw.{index}"));
        let flat = |tensor: &Tensor| tensor.flatten_all().and_then(|tensor| tensor.to_vec1()).expect("numbers");
        Recording((0..).map_while(draw).map(flat).collect())
    }

    /// The exponents that the reference found for a table's columns; none where its recipe has no power transform.
    pub(super) fn exponents(&self, table: &str) -> Vec<f32> {
        let found = self.tensors.get(&format!("power.{table}"));
        found.map_or_else(Vec::new, |tensor| tensor.to_vec1().expect("a vector"))
    }

    pub(super) fn tensor(&self, name: &str) -> Vec<Vec<f32>> {
        self.tensors[name].to_vec2().expect("a matrix")
    }

    /// The reference's answers, classes in their order.
    pub(super) fn out(&self) -> Vec<Vec<f32>> {
        self.sorted("out")
    }

    /// The same, had it searched the exponents of its power transforms in 64 bits. A single estimator has none.
    pub(super) fn out_of_wide_search(&self) -> Vec<Vec<f32>> {
        self.sorted(if self.options.estimators > 1 { "out64" } else { "out" })
    }

    fn sorted(&self, name: &str) -> Vec<Vec<f32>> {
        let sorted = |row: Vec<f32>| match self.order.as_slice() {
            [] => row,
            order => {
                let place =
                    |class: usize| order.iter().position(|other| *other == class).expect("every class is there");
                (0..row.len()).map(|class| row[place(class)]).collect()
            }
        };
        self.tensor(name).into_iter().map(sorted).collect()
    }

    /// What the reference's recipe made of a table: how many columns, and their numbers row by row.
    pub(super) fn made(&self, estimator: usize, side: &str, table: &str) -> (usize, Vec<f32>) {
        let tensor = &self.tensors[&format!("member.{estimator}.{side}.{table}")];
        (tensor.dim(1).expect("a matrix"), tensor.flatten_all().and_then(|all| all.to_vec1()).expect("numbers"))
    }

    /// What the reference's recipe made of all tables, in their order.
    pub(super) fn made_of_all(&self, estimator: usize, side: &str) -> Vec<(usize, Vec<f32>)> {
        TABLES[..self.context.tables.len()].iter().map(|table| self.made(estimator, side, table)).collect()
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).expect("it is small")
}

fn model(case: &Json, compute: Compute) -> Model {
    let shapes: BTreeMap<String, Vec<usize>> =
        serde_json::from_value(case["shapes"].clone()).expect("shapes are lists of numbers");
    let mut config = Config::of_shapes(&shapes).expect("the shapes are a network's");
    config.max_train_size = case["max_train_size"].as_u64().map(to_usize).expect("a number");
    config.check().expect("the dimensions fit together");
    let tensors = shapes.iter().map(|(name, shape)| (name.clone(), weights::tensor(name, shape))).collect();
    let network =
        Network::new(&config, Weights::new(tensors, compute)).expect("tensors can be made").expect("nothing lacks");
    Model { config, network, digest: 0 }
}

/// The tables of all cases, in their order.
pub(super) const TABLES: [&str; 3] = ["users", "orders", "items"];

fn relationships(case: &Json) -> Vec<Relationship> {
    let table = |name: &Json| TABLES.iter().position(|table| name == table).expect("a known table");
    let list = case["relationships"].as_array().expect("a list");
    list.iter()
        .map(|link| Relationship { child: table(&link["left_table"]), parent: table(&link["right_table"]) })
        .collect()
}

fn column<'a>(columns: &'a Json, name: &str) -> &'a Vec<Json> {
    let found = columns.as_array().expect("a list").iter().find(|column| column["name"] == name);
    found.and_then(|column| column["values"].as_array()).expect("the column is there")
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::String(text) => Value::text(text),
        number => Value::Int(number.as_i64().expect("a whole number")),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the reference holds 32 bits")]
fn float(json: &Json) -> f32 {
    json.as_f64().map_or(f32::NAN, |number| number as f32)
}

fn rows(columns: &Json) -> TableRows {
    let mut rows = TableRows::default();
    for column in columns.as_array().expect("a list") {
        let values = column["values"].as_array().expect("a list");
        rows.count = values.len();
        match column["stype"].as_str().expect("a text") {
            _ if column["name"] == "target" => {}
            "numerical" => rows.numbers.push(values.iter().map(float).collect()),
            "categorical" => rows.categories.push(values.iter().map(value).collect()),
            "datetime" => rows.times.push(values.iter().map(Json::as_i64).collect()),
            _ => {}
        }
    }
    rows
}

/// Joins the tables' keys.
fn sample(case: &Json, side: &str, relationships: &[Relationship]) -> Sample {
    let tables = &case[side];
    let names: Vec<&str> = TABLES.into_iter().filter(|name| !tables[*name].is_null()).collect();
    let mut graph = Graph::default();
    for (relationship, Relationship { child, parent }) in relationships.iter().enumerate() {
        let key = case["relationships"][relationship]["left_columns"].as_str().expect("a name");
        let parents = column(&tables[names[*parent]], key);
        for (child, key) in column(&tables[names[*child]], key).iter().enumerate().filter(|(_, key)| !key.is_null()) {
            let parent = parents.iter().position(|parent| parent == key);
            graph.links.extend(parent.map(|parent| Link { relationship, child, parent }));
        }
    }
    let task = &case["task"][side];
    let users = column(&tables["users"], "user_id");
    let entity = |key: &Json| users.iter().position(|user| user == key).expect("every entity is there");
    graph.entities = column(task, "user_id").iter().map(entity).collect();
    let tables: Vec<TableRows> = names.iter().map(|name| rows(&tables[*name])).collect();
    graph.counts = tables.iter().map(|rows| rows.count).collect();
    let mut asked = rows(task);
    let anchors = asked.times.pop().expect("the task has a time");
    Sample { graph, tables, anchors, task: asked }
}

fn labels(case: &Json) -> Labels {
    let target = column(&case["task"]["context"], "target");
    if case["classes"] == 0 {
        return Labels::Numbers(target.iter().map(float).collect());
    }
    let mut classes: Vec<&str> = target.iter().filter_map(Json::as_str).collect();
    classes.sort_unstable();
    classes.dedup();
    let code = |label: &Json| classes.binary_search(&label.as_str().expect("a text")).expect("it is among them");
    let code = |label: &Json| u32::try_from(code(label)).expect("classes are few");
    Labels::Classes { count: classes.len(), codes: target.iter().map(code).collect() }
}

fn order(case: &Json) -> Vec<usize> {
    let columns = case["out_columns"].as_array().expect("a list");
    let mut sorted: Vec<&Json> = columns.iter().collect();
    sorted.sort_by_key(|name| name.as_str());
    columns.iter().map(|name| sorted.iter().position(|other| *other == name).expect("it is among them")).collect()
}

/// Each example with the rows that it owns, and no others.
fn split(all: &Sample, relationships: &[Relationship]) -> Vec<Sample> {
    let edges = all.graph.edges(relationships);
    let owners = all.graph.owners(&edges, 10);
    let starts = all.graph.starts();
    (0u32..)
        .zip(&all.graph.entities)
        .map(|(example, entity)| one(all, relationships, &owners, &starts, example, *entity))
        .collect()
}

fn one(
    all: &Sample,
    relationships: &[Relationship],
    owners: &[Option<u32>],
    starts: &[usize],
    example: u32,
    entity: usize,
) -> Sample {
    let owned: Vec<Vec<usize>> = starts
        .windows(2)
        .map(|range| {
            (range[0]..range[1]).filter(|row| owners[*row] == Some(example)).map(|row| row - range[0]).collect()
        })
        .collect();
    let place = |table: usize, row: usize| owned[table].binary_search(&row).ok();
    let link = |link: &Link| {
        let Relationship { child, parent } = relationships[link.relationship];
        Some(Link { child: place(child, link.child)?, parent: place(parent, link.parent)?, ..*link })
    };
    let graph = Graph {
        counts: owned.iter().map(Vec::len).collect(),
        links: all.graph.links.iter().filter_map(link).collect(),
        entity_table: 0,
        entities: vec![place(0, entity).expect("an example owns its entity")],
    };
    let tables = all.tables.iter().zip(&owned).map(|(rows, owned)| take(rows, owned)).collect();
    let index = example as usize;
    Sample { graph, tables, anchors: vec![all.anchors[index]], task: take(&all.task, &[index]) }
}

fn take(rows: &TableRows, places: &[usize]) -> TableRows {
    fn pick<T: Clone>(columns: &[Vec<T>], places: &[usize]) -> Vec<Vec<T>> {
        columns.iter().map(|column| places.iter().map(|place| column[*place].clone()).collect()).collect()
    }
    TableRows {
        count: places.len(),
        numbers: pick(&rows.numbers, places),
        categories: pick(&rows.categories, places),
        times: pick(&rows.times, places),
    }
}
