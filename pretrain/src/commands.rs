//! What each command of `foreshore-pretrain` does.

use std::io::{self, Write};
use std::sync::atomic::AtomicBool;

use predictor::learn::Targets;

use crate::bank::Bank;
use crate::cli::{Command, Evaluate, Sample, Train};
use crate::database::Database;
use crate::dice::{Dice, float};
use crate::recipe::Recipe;
use crate::train::{Folder, Watch, score, train};
use crate::{Error, Family};

/// Does what the command says; `stop` ends a training run early, with its state saved.
///
/// # Errors
///
/// With what to do about it.
pub fn dispatch(command: Command, stop: &AtomicBool) -> Result<(), Error> {
    match command {
        Command::Train(arguments) => run(&arguments, stop),
        Command::Evaluate(arguments) => evaluate(&arguments),
        Command::Sample(arguments) => sample(&arguments),
        Command::Recipe => print(&Recipe::default().to_toml()),
    }
}

fn run(arguments: &Train, stop: &AtomicBool) -> Result<(), Error> {
    let folder = Folder::open(&arguments.out)?;
    let recipe = if arguments.resume {
        Recipe::read(&folder.recipe())?
    } else {
        if folder.state().exists() {
            return Err(Error::content(
                folder.state(),
                "the folder holds a run already: add --resume to go on with it",
            ));
        }
        let mut recipe = arguments.config.as_deref().map(Recipe::read).transpose()?.unwrap_or_default();
        recipe.seed = arguments.seed.unwrap_or(recipe.seed);
        recipe.steps = arguments.steps.unwrap_or(recipe.steps);
        std::fs::write(folder.recipe(), recipe.to_toml()).map_err(Error::file(folder.recipe()))?;
        recipe
    };
    let watch = Watch {
        threads: arguments.threads,
        scratch: arguments.work.scratch(),
        log_every: arguments.log_every,
        save_every: arguments.save_every,
        score_every: arguments.score_every,
        development: arguments.development,
        stop_after: arguments.stop_after,
    };
    // Progress that nobody can read any more is no reason to stop.
    let mut say = |line: &str| drop(writeln!(io::stderr(), "{line}"));
    let steps = train(&recipe, &folder, &watch, stop, &mut say)?;
    if steps < recipe.steps {
        say(&format!("stopped after step {steps} of {}: go on with --resume", recipe.steps));
    }
    Ok(())
}

fn evaluate(arguments: &Evaluate) -> Result<(), Error> {
    let mut recipe = arguments.config.as_deref().map(Recipe::read).transpose()?.unwrap_or_default();
    recipe.seed = arguments.seed;
    for report in score(&recipe, &arguments.weights, arguments.databases, &arguments.work.scratch())? {
        print(&if arguments.json { report.json().to_string() } else { report.line() })?;
    }
    Ok(())
}

/// The first rows of each table, then every task with its examples.
fn sample(arguments: &Sample) -> Result<(), Error> {
    let mut dice = Dice::new(arguments.seed, &[0]);
    let family = arguments.family.unwrap_or_else(|| Family::any(&mut dice));
    let world = family.draw(&mut dice);
    print(&format!("{} (seed {})", family.name(), arguments.seed))?;
    for table in &world.tables {
        print(&format!("\n{}: {} rows", table.name, table.len()))?;
        print(&table.columns().collect::<Vec<_>>().join("\t"))?;
        for row in table.rows().iter().take(arguments.rows) {
            print(&row.iter().map(ToString::to_string).collect::<Vec<_>>().join("\t"))?;
        }
    }
    let database = Database::fill(&world, &arguments.work.scratch())?;
    print("")?;
    for bank in Bank::fill(&world, &database, &mut dice, world.questions.len(), 500)? {
        print(&format!("{}\n    {}", bank.query, summary(&bank)))?;
    }
    Ok(())
}

fn summary(bank: &Bank) -> String {
    let count = bank.examples.targets.len();
    let targets = match &bank.examples.targets {
        Targets::Binary(truths) => {
            let positives = truths.iter().filter(|truth| **truth).count();
            format!("{:.1} % true", 100.0 * float(positives) / float(count))
        }
        Targets::Classes { classes, .. } => format!("{classes} classes"),
        Targets::Numbers(numbers) => {
            let mean = numbers.iter().sum::<f64>() / float(count);
            format!("numbers with mean {mean:.3}")
        }
    };
    format!("{}: {count} examples, {} features, {targets}", bank.kind.name(), bank.names.len())
}

fn print(line: &str) -> Result<(), Error> {
    writeln!(io::stdout(), "{line}").map_err(Error::Output)
}
