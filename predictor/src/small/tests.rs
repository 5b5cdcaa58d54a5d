//! Facts about training.

use candle_core::{DType, Device, Tensor, Var};

use super::batch::Batch;
use super::fixture::{Ask, Noise, TINY, dense, episode, mean};
use super::layers::{self, attention, linear, raise, rms_norm, softmax};
use super::train::{Parameters, groups};
use super::*;
use crate::learn::Targets;

const ASKS: [Ask; 3] = [Ask::Whether, Ask::Which, Ask::HowMuch];

/// Episodes of all kinds, of few sizes.
fn episodes(config: &Config, many: u64, seed: u64) -> Vec<Prepared> {
    let asks = ASKS.into_iter().cycle().zip([24, 40].into_iter().cycle());
    let episodes = asks.zip(seed..seed + many).map(|((ask, context), seed)| {
        prepare(&episode(ask, context, 12, 7, seed), config, seed).expect("something can be asked")
    });
    episodes.collect()
}

fn normal(shape: &[usize], seed: u64) -> Tensor {
    let mut noise = Noise(seed << 40);
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| noise.next()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Compares the gradient of a weighted sum of what `layer` gives with finite differences, in double precision.
fn check_gradient(name: &str, inputs: &[Tensor], layer: impl Fn(&[Tensor]) -> candle_core::Result<Tensor>) {
    let weighed = |inputs: &[Tensor]| {
        let given = layer(inputs).unwrap();
        let weights = normal(given.dims(), 99);
        (given * weights).unwrap().sum_all().unwrap()
    };
    let variables: Vec<Var> = inputs.iter().map(|input| Var::from_tensor(input).unwrap()).collect();
    let tensors: Vec<Tensor> = variables.iter().map(|variable| variable.as_tensor().clone()).collect();
    let gradients = weighed(&tensors).backward().unwrap();
    for (place, variable) in variables.iter().enumerate() {
        let gradient = gradients.get(variable).unwrap_or_else(|| panic!("{name}: input {place} has no gradient"));
        let gradient = gradient.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let values = inputs[place].flatten_all().unwrap().to_vec1::<f64>().unwrap();
        for index in (0..values.len()).step_by(values.len().div_ceil(25)) {
            let moved = |by: f64| {
                let mut values = values.clone();
                values[index] += by;
                let mut inputs = inputs.to_vec();
                inputs[place] = Tensor::from_vec(values, inputs[place].dims(), &Device::Cpu).unwrap();
                weighed(&inputs).to_scalar::<f64>().unwrap()
            };
            let found = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            let error = (found - gradient[index]).abs();
            assert!(error < 1e-5 * (1.0 + found.abs()), "{name}: input {place}, {index}: {found} {}", gradient[index]);
        }
    }
}

#[test]
fn every_layer_passes_its_gradient() {
    let rows = normal(&[2, 5, 6], 1);
    check_gradient("linear", &[rows.clone(), normal(&[6, 4], 2)], |inputs| linear(&inputs[0], &inputs[1]));
    check_gradient("rms_norm", &[rows.clone(), normal(&[1, 6], 3)], |inputs| rms_norm(&inputs[0], &inputs[1]));
    check_gradient("raise", &[rows.clone(), normal(&[1, 6], 3)], |inputs| raise(&inputs[0], &inputs[1]));
    check_gradient("softmax", std::slice::from_ref(&rows), |inputs| softmax(&inputs[0]));
    for heads in [1, 3] {
        let inputs = [rows.clone(), normal(&[2, 7, 6], 4), normal(&[2, 7, 6], 5)];
        check_gradient("attention", &inputs, |inputs| attention(&inputs[0], &inputs[1], &inputs[2], heads));
    }
}

type Layer = fn(&[Tensor]) -> candle_core::Result<Tensor>;

/// What a layer gives, and the gradient of each input of a weighted sum of it, in single precision.
fn outcome(inputs: &[Tensor], layer: Layer) -> Vec<Vec<f32>> {
    let single = |tensor: &Tensor| tensor.to_dtype(DType::F32).unwrap();
    let variables: Vec<Var> = inputs.iter().map(|input| Var::from_tensor(&single(input)).unwrap()).collect();
    let tensors: Vec<Tensor> = variables.iter().map(|variable| variable.as_tensor().clone()).collect();
    let given = layer(&tensors).unwrap();
    let weighed = (&given * single(&normal(given.dims(), 99))).unwrap();
    let gradients = weighed.sum_all().unwrap().backward().unwrap();
    let gradients = variables.iter().map(|variable| gradients.get(variable).unwrap().clone());
    let tensors = std::iter::once(given).chain(gradients);
    tensors.map(|tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap()).collect()
}

#[test]
fn fused_layers_are_the_composed_ones() {
    let rows = normal(&[2, 5, 6], 1);
    let attended = [rows.clone(), normal(&[2, 7, 6], 4), normal(&[2, 7, 6], 5)];
    let vector = [rows, normal(&[1, 6], 3)];
    let pairs: [(&[Tensor], Layer, Layer); 4] = [
        (&vector, |inputs| rms_norm(&inputs[0], &inputs[1]), |inputs| layers::composed_norm(&inputs[0], &inputs[1])),
        (&vector, |inputs| raise(&inputs[0], &inputs[1]), |inputs| layers::composed_raise(&inputs[0], &inputs[1])),
        (
            &attended,
            |inputs| attention(&inputs[0], &inputs[1], &inputs[2], 1),
            |inputs| layers::composed_attention(&inputs[0], &inputs[1], &inputs[2], 1),
        ),
        (
            &attended,
            |inputs| attention(&inputs[0], &inputs[1], &inputs[2], 3),
            |inputs| layers::composed_attention(&inputs[0], &inputs[1], &inputs[2], 3),
        ),
    ];
    for (place, (inputs, fused, composed)) in pairs.into_iter().enumerate() {
        for (fused, composed) in outcome(inputs, fused).iter().zip(&outcome(inputs, composed)) {
            assert_eq!(fused.len(), composed.len());
            for (fused, composed) in fused.iter().zip(composed) {
                assert!((fused - composed).abs() < 1e-5 * (1.0 + composed.abs()), "{place}: {fused} {composed}");
            }
        }
    }
}

#[test]
fn the_whole_network_passes_its_gradient() {
    let weights = dense(&TINY, 3);
    for ask in ASKS {
        let prepared = prepare(&episode(ask, 20, 6, 7, 11), &TINY, 1).unwrap();
        let loss = |weights: &[f64]| {
            let single: Vec<f32> = weights.iter().map(|_| 0.0).collect();
            let parameters = Parameters::new(&TINY, &single, DType::F64).unwrap();
            parameters.set(weights);
            let batch = Batch::new(&[&prepared, &prepared], DType::F64, &Device::Cpu).unwrap();
            let losses = parameters.net.answer(&TINY, &batch).unwrap().losses(&batch).unwrap();
            losses.mean_all().unwrap().to_scalar::<f64>().unwrap()
        };
        let mut gradient = vec![0.0; weights.len()];
        let parameters = Parameters::new(&TINY, &weights, DType::F64).unwrap();
        parameters.add_gradient(&[&prepared, &prepared], 2, &mut gradient).unwrap();
        let wide: Vec<f64> = weights.iter().map(|weight| f64::from(*weight)).collect();
        for index in (0..weights.len()).step_by(37) {
            let moved = |by: f64| {
                let mut weights = wide.clone();
                weights[index] += by;
                loss(&weights)
            };
            let found = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            let error = (found - f64::from(gradient[index])).abs();
            assert!(error < 1e-5 * (1.0 + found.abs()), "{ask:?}: weight {index}: {found} {}", gradient[index]);
        }
    }
}

#[test]
fn an_untrained_network_says_what_its_anchor_says() {
    let trainer = Trainer::new(&TINY, &Schedule::default(), 5).unwrap();
    let scores = evaluate(&trainer.weights(), &episodes(&TINY, 12, 1)).unwrap();
    for compared in [scores.binary.unwrap(), scores.numbers.unwrap()] {
        assert_eq!(compared.loss.network.to_bits(), compared.loss.anchor.to_bits());
        let quality = compared.quality.unwrap();
        assert_eq!(quality.network.to_bits(), quality.anchor.to_bits());
    }
}

#[test]
fn training_learns_what_the_anchor_cannot() {
    let schedule = Schedule { rate: 4e-3, warm_up: 10, steps: 400, ..Schedule::default() };
    let mut trainer = Trainer::new(&TINY, &schedule, 5).unwrap();
    let batches: Vec<Vec<Prepared>> = (0..40).map(|seed| episodes(&TINY, 8, 100 + 8 * seed)).collect();
    let mut losses = Vec::new();
    for step in 0..400 {
        let loss = trainer.step(&batches[step % batches.len()]).unwrap();
        assert!(!loss.skipped && loss.gradient_norm > 0.0);
        losses.push(loss.loss);
    }
    let (early, late) = (mean(&losses[..40]), mean(&losses[360..]));
    let scores = evaluate(&trainer.weights(), &episodes(&TINY, 60, 9_000)).unwrap();
    let loss = scores.binary.unwrap().loss;
    assert!(late < early && loss.network < loss.anchor, "{early} {late} {scores:?}");
}

#[test]
fn two_runs_and_a_resumed_run_are_the_same_bytes() {
    let batches: Vec<Vec<Prepared>> = (0..6).map(|seed| episodes(&TINY, 4, 10 * seed)).collect();
    let run = |stop: Option<usize>| {
        let mut trainer = Trainer::new(&TINY, &Schedule::default(), 5).unwrap();
        for (step, batch) in batches.iter().enumerate() {
            trainer.step(batch).unwrap();
            if stop == Some(step) {
                trainer = Trainer::from_bytes(&trainer.to_bytes()).unwrap();
            }
        }
        (trainer.to_bytes(), trainer.weights().to_bytes())
    };
    assert_eq!(run(None), run(None));
    assert_eq!(run(None), run(Some(2)));
}

#[test]
fn a_step_that_is_not_finite_changes_no_weight() {
    let mut trainer = Trainer::new(&TINY, &Schedule::default(), 5).unwrap();
    let mut batch = episodes(&TINY, 2, 1);
    batch[0].truths[0] = f32::NAN;
    let before = trainer.weights();
    assert!(trainer.step(&batch).unwrap().skipped && trainer.steps() == 1);
    assert_eq!(trainer.weights(), before);
}

#[test]
fn episodes_are_computed_together_by_size() {
    let prepared = episodes(&TINY, 8, 1);
    let groups = groups(&prepared);
    assert!(groups.len() == 2 && groups.iter().all(|group| group.len() == 4));
}

#[test]
fn cold_starts_and_single_classes_can_be_asked() {
    for ask in ASKS {
        for context in [2, 5, 9] {
            let prepared = prepare(&episode(ask, context, 4, 7, 3), &TINY, 1).unwrap();
            assert_eq!(prepared.size(), (context, 4), "{ask:?}");
        }
    }
    let mut alike = episode(Ask::Whether, 30, 4, 7, 3);
    alike.context.targets = Targets::Binary(vec![true; 30]);
    assert!(prepare(&alike, &TINY, 1).is_some());
    let mut alike = episode(Ask::HowMuch, 30, 4, 7, 3);
    alike.context.targets = Targets::Numbers(vec![1.0; 30]);
    assert!(prepare(&alike, &TINY, 1).is_none());
}

#[test]
fn weights_read_back() {
    let weights = Weights::new(TINY, dense(&TINY, 1));
    assert_eq!(Weights::from_bytes(&weights.to_bytes()).unwrap(), weights);
}

#[test]
fn half_a_network_is_not_loaded() {
    let bytes = Weights::new(TINY, dense(&TINY, 1)).to_bytes();
    let name = b"\"blocks.1.up\"";
    let start = bytes.windows(name.len()).position(|window| window == name).unwrap();
    let mut renamed = bytes.clone();
    renamed[start + 10] = b'x';
    let error = Weights::from_bytes(&renamed).unwrap_err();
    assert_eq!(error.to_string(), "the network has no tensor `blocks.1.xp`");
    assert!(Weights::from_bytes(&bytes[..bytes.len() - 1]).is_err() && Weights::from_bytes(b"").is_err());
}
