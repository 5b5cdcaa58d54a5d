//! `foreshore model`

use std::path::Path;

use predictor::model::Compute;
use predictor::model::checkpoint::{self, Checkpoint, CheckpointError, Part};
use serde_json::json;

use crate::cli::{Format, Model, ModelWhat};
use crate::output::{self, count};
use crate::world::Failure;

pub(super) fn model(arguments: &Model) -> Result<(), Failure> {
    match &arguments.what {
        ModelWhat::Info { folder, format } => info(&parts(folder)?, *format),
        ModelWhat::Verify { folder } => verify(&parts(folder)?),
        ModelWhat::Convert { folder, out } => convert(&parts(folder)?, out.as_deref().unwrap_or(folder)),
    }
}

/// Those parts that are there: a folder may hold one of them only.
fn parts(folder: &Path) -> Result<Vec<(Part, Checkpoint)>, Failure> {
    let mut found = Vec::new();
    let mut absent = None;
    for part in Part::ALL {
        match Checkpoint::read(folder, part) {
            Ok(checkpoint) => found.push((part, checkpoint)),
            Err(error @ CheckpointError::Absent { .. }) => absent = absent.or(Some(error)),
            Err(error) => return Err(error.into()),
        }
    }
    match absent {
        Some(error) if found.is_empty() => Err(Failure::Usage(error.to_string())),
        _ => Ok(found),
    }
}

fn info(parts: &[(Part, Checkpoint)], format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        let part = |(part, checkpoint): &(Part, Checkpoint)| {
            let tensors = checkpoint.shapes().count();
            let what = json!({
                "file": checkpoint.file, "parameters": checkpoint.parameters(), "tensors": tensors,
                "dimensions": checkpoint.config,
            });
            (part.name().to_owned(), what)
        };
        let parts: serde_json::Map<String, serde_json::Value> = parts.iter().map(part).collect();
        return Ok(output::print_json(&parts.into())?);
    }
    for (part, checkpoint) in parts {
        let dimensions = serde_json::to_value(&checkpoint.config).map_err(std::io::Error::from)?;
        let dimensions = dimensions.as_object().cloned().unwrap_or_default();
        let mut rows = vec![
            vec!["file".to_owned(), checkpoint.file.display().to_string()],
            vec!["tensors".to_owned(), count(checkpoint.shapes().count() as u64)],
            vec!["parameters".to_owned(), count(checkpoint.parameters() as u64)],
        ];
        rows.extend(dimensions.iter().map(|(name, value)| vec![name.clone(), value.to_string()]));
        output::print_table(&["", part.name()], rows)?;
    }
    Ok(())
}

/// Loads every part, and says all that is wrong before it fails.
fn verify(parts: &[(Part, Checkpoint)]) -> Result<(), Failure> {
    let mut failed = None;
    for (part, checkpoint) in parts {
        match checkpoint.load(&Compute::processor()) {
            Ok(_) => output::print_line(&format!("{}: whole, {} parameters", part.name(), checkpoint.parameters()))?,
            Err(error) => {
                if let CheckpointError::Faulty { faults, .. } = &error {
                    let kinds = [("missing", &faults.missing), ("extra", &faults.extra), ("wrong", &faults.wrong)];
                    for (kind, name) in
                        kinds.iter().flat_map(|(kind, names)| names.iter().map(move |name| (kind, name)))
                    {
                        output::print_line(&format!("{}: {kind}: {name}", part.name()))?;
                    }
                }
                failed = failed.or(Some(error));
            }
        }
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}

/// Nothing is written unless every part is whole.
fn convert(parts: &[(Part, Checkpoint)], out: &Path) -> Result<(), Failure> {
    for (_, checkpoint) in parts {
        checkpoint.load(&Compute::processor())?;
    }
    std::fs::create_dir_all(out)?;
    let mut configs = Vec::new();
    for (part, checkpoint) in parts {
        let file = checkpoint.write(out, *part)?;
        output::print_line(&format!("{}: written", file.display()))?;
        configs.push((*part, checkpoint.config.clone()));
    }
    checkpoint::write_config(out, &configs)?;
    Ok(output::print_line(&format!("{}: written", out.join("config.json").display()))?)
}
