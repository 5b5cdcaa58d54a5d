//! Competitors who meet in rounds: ranks, points, a status, an earlier ranking, standings, groups that they change.
//!
//! Inspired by motor racing as in rel-f1; none of its data is used.

use relational::{DataType, Value};

use crate::columns::{Clutter, clutter, round};
use crate::dice::{Dice, float, logistic};
use crate::draft::{Draft, category, key, moment, whole};
use crate::latent::{Panel, series, states};
use crate::mechanism::Mechanism;
use crate::question::{Question, Side};

/// When the rounds take place and who is in which group.
struct League {
    days: Vec<f64>,
    season: Vec<usize>,
    gap: f64,
    groups: usize,
    people: usize,
    group_of: Vec<Vec<usize>>,
    from: Vec<f64>,
    until: Vec<f64>,
    field: usize,
}

/// One competitor in one round.
struct Start {
    round: usize,
    person: usize,
    group: usize,
    form: f64,
    rank: usize,
    failed: bool,
    points: f64,
}

pub(super) fn draw(dice: &mut Dice) -> (Vec<Draft>, Vec<Question>) {
    let league = league(dice);
    let (rounds, groups, people) = (league.days.len(), league.groups, league.people);
    let group_of = |round: usize, person: usize| league.group_of[person][round];
    let memory = dice.pick(&[0.95, 0.98, 0.995]);
    let strength = series(dice, rounds, groups, memory);
    let soundness = series(dice, rounds, groups, 0.98);
    let form = states(dice, rounds, people, &strength, &group_of);
    let care = states(dice, rounds, people, &soundness, &group_of);
    let starts = starts(dice, &league, &form, &care);
    let mut tables = vec![people_table(dice, &league, &form, &care), groups_table(dice, groups, &strength)];
    tables.push(results_table(dice, &league, &starts));
    let trial = dice.chance(0.6);
    if trial {
        tables.push(trials_table(dice, &league, &starts));
    }
    if dice.chance(0.4) {
        tables.push(standings_table(&league, &starts));
    }
    let questions = questions(dice, league.gap, trial);
    (tables, questions)
}

fn league(dice: &mut Dice) -> League {
    let rounds = dice.within(40, 130);
    let gap = dice.pick(&[1.0, 7.0, 14.0, 30.0]);
    let length = dice.within(6, 20);
    let pause = if dice.chance(0.6) { gap * float(dice.within(2, 8)) } else { 0.0 };
    let mut days = Vec::new();
    let mut day = 1.0;
    for round in 0..rounds {
        day += gap * dice.between(0.8, 1.2) + if round % length == 0 { pause } else { 0.0 };
        days.push(day.round().max(day.floor()));
    }
    let (people, groups) = (dice.within(20, 90), dice.within(2, 12));
    let span = float(rounds);
    let from = (0..people).map(|_| dice.between(-span / 2.0, span - 5.0)).collect::<Vec<_>>();
    let stay = span * dice.between(0.2, 0.8);
    let until = from.iter().map(|from| from + 5.0 + dice.exponential(stay)).collect();
    let group_of = (0..people)
        .map(|_| {
            let mut of = vec![dice.below(groups); rounds];
            for _ in 0..dice.count(1.5) {
                let (change, group) = (dice.below(rounds), dice.below(groups));
                of[change..].fill(group);
            }
            of
        })
        .collect();
    let season = (0..rounds).map(|round| round / length).collect();
    League { days, season, gap, groups, people, group_of, from, until, field: dice.within(8, 28) }
}

fn starts(dice: &mut Dice, league: &League, form: &Panel, care: &Panel) -> Vec<Start> {
    let noise = dice.scale(0.12, 1.2);
    let (care_weight, care_bias) = (dice.between(0.5, 3.0), dice.between(-2.5, 1.5));
    let luck_weight = dice.pick(&[0.0, 0.8]);
    let twist = Mechanism::draw(dice, 3);
    let twist_weight = dice.pick(&[0.0, 0.0, 0.7, 1.5]);
    let sharpness = dice.pick(&[1.0, 1.0, 1.5]);
    let scoring = dice.within(3, 11);
    let presence = dice.between(0.7, 1.0);
    let mut all = Vec::new();
    let mut last = vec![(0.0, 0.0); league.people];
    for period in 0..league.days.len() {
        let here = |person: &usize| (league.from[*person]..league.until[*person]).contains(&float(period));
        let mut field: Vec<usize> = dice.shuffled(league.people).into_iter().filter(here).collect();
        field.truncate(league.field);
        field.retain(|_| dice.chance(presence));
        let luck = luck_weight * dice.normal();
        let mut order: Vec<(f64, usize)> = field
            .into_iter()
            .map(|person| {
                let rust = twist.of(&[last[person].0, last[person].1, form.at(period, person)]);
                (form.at(period, person) + 0.4 * twist_weight * rust + noise * dice.normal(), person)
            })
            .collect();
        order.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
        let size = order.len();
        for (place, (score, person)) in order.into_iter().enumerate() {
            let state = care.at(period, person);
            let risk =
                care_weight * state + care_bias + luck + twist_weight * twist.of(&[score, state, last[person].1]);
            let failed = dice.chance(logistic(risk));
            let rank = if failed && dice.chance(0.7) { size } else { place + 1 };
            let points = (float(scoring) - float(rank)).max(0.0).powf(sharpness);
            last[person] = (2.0 * float(place) / float(size.max(1)) - 1.0, if failed { 1.0 } else { -0.5 });
            let group = league.group_of[person][period];
            all.push(Start { round: period, person, group, form: score, rank, failed, points });
        }
    }
    all
}

fn people_table(dice: &mut Dice, league: &League, form: &Panel, care: &Panel) -> Draft {
    let mut table = Draft::new("people").with("country", DataType::Text).with("born", DataType::Date);
    let countries = dice.zipf(9);
    for person in 0..league.people {
        let born = 4_000.0 + 11.0 * league.from[person] + 1_200.0 * dice.normal();
        let country = category(dice.weighted(&countries));
        #[expect(clippy::cast_possible_truncation, reason = "a day of the last century")]
        let born = Value::Date(born as i32);
        table.push([country, born], &[form.mean(person), care.mean(person)]);
    }
    let of = Clutter { copies: dice.below(2), noise: dice.below(3) };
    clutter(dice, &mut table, of);
    table
}

fn groups_table(dice: &mut Dice, groups: usize, strength: &Panel) -> Draft {
    let mut table = Draft::new("teams").with("country", DataType::Text);
    for group in 0..groups {
        table.push([category(dice.below(6))], &[strength.mean(group)]);
    }
    table
}

fn results_table(dice: &mut Dice, league: &League, starts: &[Start]) -> Draft {
    let mut table = Draft::new("results")
        .link("person", "people")
        .link("team", "teams")
        .timed()
        .with("position", DataType::Int)
        .with("points", DataType::Float)
        .with("status", DataType::Int)
        .with("grade", DataType::Text);
    let causes = dice.within(1, 7);
    let grades = dice.within(3, 5);
    for start in starts {
        let status = if start.failed { 2 + dice.below(causes) } else { 1 };
        // A grade like a verdict: from the form, or a fault.
        let grade = if start.failed { grades } else { crate::columns::bin(start.form, grades) };
        let values = [
            key(start.person),
            key(start.group),
            moment(league.days[start.round]),
            Value::Int(whole(start.rank)),
            Value::Float(start.points),
            Value::Int(whole(status)),
            category(grade),
        ];
        table.push(values, &[start.form, if start.failed { 1.0 } else { -1.0 }]);
    }
    let of = Clutter::draw(dice);
    clutter(dice, &mut table, of);
    table
}

fn trials_table(dice: &mut Dice, league: &League, starts: &[Start]) -> Draft {
    let mut table =
        Draft::new("trials").link("person", "people").timed().with("place", DataType::Int).with("gap", DataType::Float);
    let since = if dice.chance(0.3) { league.days.len() / 3 } else { 0 };
    let noise = dice.between(0.3, 1.2);
    for of_round in starts.chunk_by(|left, right| left.round == right.round) {
        if of_round[0].round < since {
            continue;
        }
        let mut order: Vec<(f64, &Start)> =
            of_round.iter().map(|start| (start.form + noise * dice.normal(), start)).collect();
        order.sort_by(|left, right| right.0.total_cmp(&left.0));
        let best = order[0].0;
        for (place, (time, start)) in order.into_iter().enumerate() {
            let at = moment(league.days[start.round] - 0.5);
            table.push([key(start.person), at, Value::Int(whole(place + 1)), Value::Float(round(best - time))], &[]);
        }
    }
    table
}

/// Points added up over the season, after each round.
fn standings_table(league: &League, starts: &[Start]) -> Draft {
    let mut table = Draft::new("standings")
        .link("person", "people")
        .timed()
        .with("points", DataType::Float)
        .with("rounds", DataType::Int);
    let mut sums = vec![(0, 0.0, 0); league.people];
    for start in starts {
        let (season, sum, rounds) = &mut sums[start.person];
        if *season != league.season[start.round] {
            (*season, *sum, *rounds) = (league.season[start.round], 0.0, 0);
        }
        (*sum, *rounds) = (*sum + start.points, *rounds + 1);
        let at = moment(league.days[start.round]);
        table.push([key(start.person), at, Value::Float(*sum), Value::Int(whole(*rounds))], &[]);
    }
    table
}

fn questions(dice: &mut Dice, gap: f64, trial: bool) -> Vec<Question> {
    let days = (gap * dice.pick(&[1.0, 1.3, 2.0, 3.0])).ceil();
    let window = format!("0, {days}, days");
    let ask = |target: &str, weight| Question::new("people.id", target.replace("{w}", &window), weight);
    let there = Some(format!("COUNT(results.*, {window}) > 0"));
    let active = Some(format!("COUNT(results.*, -{}, 0, days) > 0", days * 6.0));
    let mut all = vec![
        ask("COUNT(results.* WHERE results.status != 1, {w}) > 0", 3.0).assuming(there.clone()),
        ask("AVG(results.position, {w})", 2.0),
        ask("AVG(results.position, {w})", 1.0).threshold(Side::Below),
        ask("MIN(results.position, {w})", 1.0).threshold(Side::Below),
        ask("MAX(results.points, {w})", 1.0).threshold(Side::Above),
        ask("SUM(results.points, {w})", 1.0).assuming(there),
        ask("SUM(results.points, {w})", 1.0).threshold(Side::Above).population(active.clone()),
        ask("COUNT(results.*, {w}) = 0", 1.0).population(active),
        ask("LAST(results.grade, {w})", 1.5),
    ];
    if trial {
        all.push(ask("MIN(trials.place, {w})", 3.0).threshold(Side::Below));
        all.push(ask("AVG(trials.gap, {w})", 1.0));
    }
    all
}
