//! `cargo xtask bench`: what things cost, in instructions.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::boot::{Boot, End};
use crate::build;
use crate::emulator::{Emulator, Machine};
use crate::guest::Guest;
use crate::image::{self, Parts};
use crate::serial::OURS;

/// The guests that measure, a boot each.
const GUESTS: &[&str] = &[
    "test:t-bench",
    "test:t-bench-ipi,cpus=2",
    "app:target/apps/ioctl",
    LINUX,
];
/// Its boot, until a program runs.
const LINUX: &str = "linux:debian -- true";

const TIMEOUT: Duration = Duration::from_secs(300);

/// The most that a measurement may say.
const BUDGETS: &[(&str, f64)] = &[
    ("exit.cpuid", 250.0),
    ("exit.out", 250.0),
    ("irq.eoi_x2apic", 400.0),
    ("irq.eoi_xapic", 900.0),
    ("irq.ipi", 1500.0),
    ("linux_boot.share", 5.0),
    ("mmio.xapic", 900.0),
    ("syscall.ioctl.exit", 400.0),
    ("size.image", 1_048_576.0),
    ("boot.to_guest", 20_000_000.0),
    ("uart.character", 900.0),
];

/// Measures in instructions, on emulators that count one tick of the TSC for each, and compares with the budgets.
///
/// Exit status: 0 every budget is kept, 1 one is broken or was not measured, or a guest failed.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this emulator.
    #[arg(long, value_enum)]
    emulator: Option<Emulator>,
    /// Write the measurements to this file, as a JSON array.
    #[arg(long, value_name = "FILE", value_parser = image::absolute)]
    json: Option<PathBuf>,
}

/// A measurement, as it stands in the JSON file.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Measurement {
    emulator: String,
    model: String,
    engine: String,
    name: String,
    value: serde_json::Number,
    unit: String,
}

/// A measurement without the place where it was made.
#[derive(Clone, Debug, PartialEq)]
struct Value {
    name: String,
    value: serde_json::Number,
    unit: String,
}

/// Measures, and returns the exit status.
pub(crate) fn main(args: &Args) -> Result<u8> {
    let emulators: &[Emulator] = args
        .emulator
        .as_ref()
        .map_or(&Emulator::ALL, std::slice::from_ref);
    if let Some(file) = &args.json {
        // A place that cannot be written is known before anything is measured.
        let mut append = fs::OpenOptions::new();
        append
            .append(true)
            .create(true)
            .open(file)
            .with_context(|| file.display().to_string())?;
    }
    build::machine()?;
    build::apps()?;
    let (mut all, mut kept) = (Vec::new(), true);
    for &emulator in emulators {
        let (values, ended_well) = measure(emulator)?;
        let (table, good) = table(&values);
        println!(
            "{emulator}, {}, {}:\n{table}",
            emulator.model(),
            emulator.engine()
        );
        kept &= good && ended_well;
        all.extend(values.into_iter().map(|value| value.made_on(emulator)));
    }
    if let Some(file) = &args.json {
        fs::write(file, serde_json::to_string_pretty(&all)? + "\n")
            .with_context(|| file.display().to_string())?;
    }
    Ok(u8::from(!kept))
}

impl Value {
    fn new(name: &str, value: &str, unit: &str) -> Option<Self> {
        Some(Self {
            name: name.into(),
            value: value.parse().ok()?,
            unit: unit.into(),
        })
    }

    fn made_on(self, emulator: Emulator) -> Measurement {
        let Self { name, value, unit } = self;
        let (model, engine) = (emulator.model().into(), emulator.engine().into());
        Measurement {
            emulator: emulator.to_string(),
            model,
            engine,
            name,
            value,
            unit,
        }
    }
}

/// Everything that is measured on one emulator, and whether all runs ended well; of a name said twice, the first value.
fn measure(emulator: Emulator) -> Result<(Vec<Value>, bool)> {
    let (mut values, mut ended_well) = (Vec::<Value>::new(), true);
    for spec in GUESTS {
        let (text, failure) = boot(emulator, spec)?;
        let mut found = collect(&text);
        if *spec == LINUX {
            let (table, of_boot) = linux_boot(&text);
            println!("exits of `{spec}` on {emulator}:\n{table}");
            found.extend(of_boot);
        }
        for value in found {
            if !values.iter().any(|known| known.name == value.name) {
                values.push(value);
            }
        }
        if let Some(why) = failure {
            eprintln!("xtask: {spec} on {emulator} failed:\n{why}");
            ended_well = false;
        }
    }
    values.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((values, ended_well))
}

/// The serial text of this guest's run, and why it failed if it did.
fn boot(emulator: Emulator, spec: &str) -> Result<(String, Option<String>)> {
    eprintln!("xtask: measuring {spec} on {emulator}");
    let scratch = image::scratch()?;
    let guest = Guest::parse(spec)?;
    let machine = Machine {
        emulator,
        model: emulator.model().into(),
        cpus: guest.option("cpus").map_or(Ok(1), str::parse)?,
        memory: 512,
        uefi: false,
        disk: false,
        counting: true,
        bare: false,
        int_log: None,
        image: scratch.path().join("nestling.iso"),
    };
    machine.need()?;
    let parts = Parts {
        guests: vec![spec.to_string()],
        cmdline: "bench".into(),
        ..Parts::default()
    };
    parts.assemble(&[guest], &machine.image)?;
    let boot = Boot {
        machine: &machine,
        timeout: Some(TIMEOUT),
        feed: None,
        show: &mut |_| Ok(()),
    };
    let outcome = boot.run()?;
    ensure!(outcome.end != End::Interrupted, "interrupted");
    let text = String::from_utf8_lossy(&outcome.serial.text()).into_owned();
    let failed = outcome.status() != 0;
    let failure = failed.then(|| {
        outcome
            .explanation(&machine)
            .unwrap_or_else(|| text.clone())
    });
    Ok((text, failure))
}

/// What the lines of a run say.
fn collect(text: &str) -> Vec<Value> {
    text.lines()
        .filter_map(|line| value(line.strip_prefix(OURS).unwrap_or(line)))
        .collect()
}

/// The table of a Linux guest's exits, and the values of its boot.
fn linux_boot(text: &str) -> (String, Vec<Value>) {
    let ours = || text.lines().filter_map(|line| line.strip_prefix(OURS));
    let table: Vec<&str> = ours().filter(|line| line.starts_with("  ")).collect();
    let exits: u64 = table
        .iter()
        .filter_map(|row| row.split_whitespace().nth(1)?.parse::<u64>().ok())
        .sum();
    let share = ours().find_map(|line| line.strip_prefix("bench run.share ")?.split(' ').next());
    let values = [
        share.and_then(|share| Value::new("linux_boot.share", share, "percent")),
        Value::new("linux_boot.exits", &exits.to_string(), "exits"),
    ];
    (table.join("\n"), values.into_iter().flatten().collect())
}

/// `bench NAME VALUE UNIT`, or the line of guest/apps/ioctl.c.
fn value(line: &str) -> Option<Value> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        // Of interest where the guest is a whole system.
        ["bench", "run.share", ..] => None,
        ["bench", name, value, unit] => Value::new(name, value, unit),
        [
            "ioctl",
            _,
            "calls,",
            _,
            "TSC",
            "ticks,",
            each,
            "per",
            "call",
        ] => Value::new("syscall.ioctl.exit", each, "instructions"),
        _ => None,
    }
}

/// The table of the measurements, and whether every budget is kept.
fn table(values: &[Value]) -> (String, bool) {
    let (mut rows, mut kept) = (String::new(), true);
    for Value { name, value, unit } in values {
        let shown = value.to_string();
        let budget = BUDGETS.iter().find(|row| row.0 == name).map(|row| row.1);
        let good = budget.is_none_or(|budget| value.as_f64().is_some_and(|value| value <= budget));
        let verdict = match budget {
            Some(budget) => format!("{budget:>12}  {}", if good { "pass" } else { "over" }),
            None => String::new(),
        };
        rows += format!("  {name:<24} {shown:>12} {unit:<14}{verdict}").trim_end();
        rows.push('\n');
        kept &= good;
    }
    for (name, budget) in BUDGETS
        .iter()
        .filter(|row| !values.iter().any(|value| value.name == row.0))
    {
        rows += &format!(
            "  {name:<24} {:>12} {:<14}{budget:>12}  over\n",
            "-", "not measured"
        );
        kept = false;
    }
    (
        format!(
            "  {:<24} {:>12} {:<14}{:>12}\n{rows}",
            "name", "value", "unit", "budget"
        ),
        kept,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_collected() {
        let text = "nestling: bench boot.to_guest 12 instructions\nbench exit.cpuid 3.5 instructions\n\
                    ioctl 10000 calls, 4000000 TSC ticks, 400 per call\nbench x\nbench y z w\n";
        let names: Vec<_> = collect(text)
            .into_iter()
            .map(|v| (v.name, v.value.to_string()))
            .collect();
        let expected = [
            ("boot.to_guest", "12"),
            ("exit.cpuid", "3.5"),
            ("syscall.ioctl.exit", "400"),
        ];
        assert_eq!(
            names,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn a_boot_of_linux_is_summed_up() {
        let text = "nestling: guest 1 (debian) ended: power off\n\
                    nestling:   exit  count  TSC ticks  per exit\n\
                    nestling:   io  20  900  45\nnestling:   hlt  3  30  10\n\
                    nestling: bench run.share 4.07 percent\n[ 0.1]   x 7\n";
        let (table, values) = linux_boot(text);
        assert_eq!(table.lines().count(), 3);
        let said: Vec<String> = values
            .iter()
            .map(|v| format!("{} {}", v.name, v.value))
            .collect();
        assert_eq!(said, ["linux_boot.share 4.07", "linux_boot.exits 23"]);
        assert!(collect(text).is_empty());
    }

    #[test]
    fn a_broken_or_unmeasured_budget_is_said() {
        let mut values: Vec<Value> = BUDGETS
            .iter()
            .map(|row| Value::new(row.0, "2", "instructions").unwrap())
            .collect();
        assert!(table(&values).1);
        values[0].value = 251.into();
        let (text, kept) = table(&values);
        assert!(
            !kept
                && text.contains(
                    "exit.cpuid                        251 instructions           250  over"
                ),
            "{text}"
        );
        values.remove(0);
        let (text, kept) = table(&values);
        assert!(!kept && text.contains("not measured"), "{text}");
    }

    #[test]
    fn json_has_the_designs_form() {
        let value = Value::new("exit.cpuid", "212", "instructions")
            .unwrap()
            .made_on(Emulator::Bochs);
        assert_eq!(
            serde_json::to_string(&[value]).unwrap(),
            "[{\"emulator\":\"bochs\",\"model\":\"corei7_skylake_x\",\"engine\":\"vmx\",\"name\":\"exit.cpuid\",\
             \"value\":212,\"unit\":\"instructions\"}]"
        );
    }
}
