//! Rows of numbers in plain arithmetic, one after the other in a slice.

use super::layers::SQUARE_MIN;

/// Each row divided by the root of its mean square, times a gain per place. The answer is added to the end of `onto`.
pub(super) fn rms_norm(rows: &[f32], gain: &[f32], onto: &mut Vec<f32>) {
    for row in rows.chunks_exact(gain.len()) {
        let scale = scale(row);
        onto.extend(row.iter().zip(gain).map(|(value, gain)| value * scale * gain));
    }
}

/// 1 over the root of a row's mean square.
pub(super) fn scale(row: &[f32]) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "rows are short")]
    let width = row.len() as f32;
    // In eight sums, so that they can be added side by side.
    let (eights, rest) = row.as_chunks::<8>();
    let mut sums = [0.0f32; 8];
    for values in eights {
        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value * value);
    }
    let squares = sums.iter().sum::<f32>() + rest.iter().map(|value| value * value).sum::<f32>();
    #[expect(clippy::cast_possible_truncation, reason = "a constant")]
    let least = SQUARE_MIN as f32;
    1.0 / (squares / width + least).sqrt()
}
