//! A checkpoint in the published format, made by the reference package with tiny dimensions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};

use super::super::Compute;
use super::super::checkpoint::{Checkpoint, CheckpointError, Part, write_config};
use super::super::weights::Faults;
use super::weights;

fn published() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tiny")
}

fn faults(checkpoint: &Checkpoint) -> Faults {
    match checkpoint.load(&Compute::processor()) {
        Err(CheckpointError::Faulty { faults, .. }) => faults,
        other => panic!("the checkpoint is faulty, not {other:?}"),
    }
}

#[test]
fn the_published_format_is_read_whole() {
    let checkpoint = Checkpoint::read(&published(), Part::Classifier).unwrap();
    let config = &checkpoint.config;
    let heads = (config.num_embedding_heads, config.num_icl_heads);
    assert_eq!((config.num_classes, config.channels, config.num_readout_tokens, heads), (10, 16, 2, (2, 2)));
    assert_eq!((config.num_embedding_layers, config.num_icl_layers, config.norm_bias), (1, 2, true));
    assert_eq!(checkpoint.parameters(), 47_734 + names_of_shared_tensors(&checkpoint));
    checkpoint.load(&Compute::processor()).unwrap();
}

/// A shared tensor stands in the file under each of its names.
fn names_of_shared_tensors(checkpoint: &Checkpoint) -> usize {
    let shared = |name: &str| name.contains("key_value_norm") || name.contains("key_transform");
    checkpoint.shapes().filter(|(name, _)| shared(name)).map(|(_, shape)| shape.iter().product::<usize>()).sum()
}

#[test]
fn a_converted_checkpoint_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let published = Checkpoint::read(&published(), Part::Classifier).unwrap();
    published.write(folder.path(), Part::Classifier).unwrap();
    write_config(folder.path(), &[(Part::Classifier, published.config.clone())]).unwrap();
    let converted = Checkpoint::read(folder.path(), Part::Classifier).unwrap();
    assert_eq!(converted.config, published.config);
    assert!(converted.shapes().eq(published.shapes()));
    let numbers = |checkpoint: &Checkpoint| -> Vec<Vec<f32>> {
        let all = checkpoint.tensors().values();
        all.map(|tensor| tensor.flatten_all().unwrap().to_vec1().unwrap()).collect()
    };
    assert_eq!(numbers(&converted), numbers(&published));
}

#[test]
fn the_weights_of_the_file_are_those_of_their_names() {
    let checkpoint = Checkpoint::read(&published(), Part::Classifier).unwrap();
    for (name, tensor) in checkpoint.tensors() {
        let numbers = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(numbers(tensor), numbers(&weights::tensor(name, tensor.dims())), "{name}");
    }
}

#[test]
fn every_fault_is_told_by_name_and_nothing_is_loaded() {
    let mut checkpoint = Checkpoint::read(&published(), Part::Classifier).unwrap();
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let tensors: &mut BTreeMap<String, Tensor> = checkpoint.tensors_mut();
    tensors.remove("gnn.src_lin.bias").unwrap();
    tensors.insert("gnn.other".to_owned(), zeros(&[1]));
    tensors.insert("gnn.norm.weight".to_owned(), zeros(&[7]));
    tensors.insert("icl_block.layers.0.key_value_norm.weight".to_owned(), zeros(&[32]));
    let faults = faults(&checkpoint);
    assert_eq!(faults.missing, ["gnn.src_lin.bias"]);
    assert_eq!(faults.extra, ["gnn.other"]);
    let wrong = [
        "gnn.norm.weight has shape [7], not [32]",
        "icl_block.layers.0.key_value_norm.weight differs from the tensor that it shares a layer with",
    ];
    assert_eq!(faults.wrong, wrong);
}

#[test]
fn what_config_json_says_is_what_the_tensors_must_be() {
    let folder = tempfile::tempdir().unwrap();
    Checkpoint::read(&published(), Part::Classifier).unwrap().write(folder.path(), Part::Classifier).unwrap();
    std::fs::write(folder.path().join("config.json"), r#"{"classifier": {"num_icl_layers": 3}}"#).unwrap();
    let checkpoint = Checkpoint::read(folder.path(), Part::Classifier).unwrap();
    assert_eq!(checkpoint.config.num_icl_layers, 3);
    assert!(faults(&checkpoint).missing.iter().all(|name| name.starts_with("icl_block.layers.2.")));
}

#[test]
fn a_folder_without_weights_says_what_to_download() {
    let folder = tempfile::tempdir().unwrap();
    let error = Checkpoint::read(folder.path(), Part::Regressor).unwrap_err().to_string();
    assert!(error.contains("download `regressor.pt` and `config.json`"), "{error}");
}
