//! `cargo xtask test`: the host's tests, then the runs of the stanzas in `tests`.

mod dialog;
mod files;
mod host;
mod native;
mod prepare;
mod stanza;
mod verdict;

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::boot::{self, Boot, Feed, Outcome};
use crate::build;
use crate::debian;
use crate::emulator::{Emulator, Machine};
use crate::run::end_of_input;
use crate::setup::{self, Need};
use dialog::Dialog;
use prepare::Prepared;
use stanza::{Firmware, Run, Stanza};

/// Where failed runs leave their serial text, and stanzas their packed trees.
const LOGS: &str = "target/test";

/// The memory in MiB of a guest that has its own kernel and no `mem=`.
const GUEST_MEMORY: u32 = 128;

/// Runs the host's tests, then boots every stanza of `tests/*.toml`; the last line is `N passed, N failed`.
///
/// Exit status: 0 all passed, 1 some failed. A run is called STANZA/EMULATOR[/uefi]/CPUS.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only tests and runs whose name contains this.
    filter: Option<String>,
    /// Only this emulator.
    #[arg(long, value_enum)]
    emulator: Option<Emulator>,
    /// How many emulators at a time.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// The long stanzas too.
    #[arg(long)]
    long: bool,
}

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: usize,
    failed: usize,
}

/// The result of a run: what is wrong, and how long it took.
struct Report {
    run: Run,
    wrong: String,
    took: Duration,
}

/// Tests, and returns the exit status.
pub(crate) fn main(args: &Args) -> Result<u8> {
    let runs = args.select(stanza::read_all()?);
    let mut count = host::test(args.filter.as_deref())?;
    if !runs.is_empty() {
        build(&runs)?;
        boot::catch_signals();
        let booted = args.boot_all(runs)?;
        count = Count {
            passed: count.passed + booted.passed,
            failed: count.failed + booted.failed,
        };
    }
    if let (
        Count {
            passed: 0,
            failed: 0,
        },
        Some(filter),
    ) = (count, &args.filter)
    {
        bail!("no test and no run is called `{filter}`");
    }
    println!("{} passed, {} failed", count.passed, count.failed);
    Ok(u8::from(count.failed > 0))
}

impl Args {
    fn select(&self, stanzas: Vec<Stanza>) -> Vec<Run> {
        let emulators: &[Emulator] = self
            .emulator
            .as_ref()
            .map_or(&Emulator::ALL, std::slice::from_ref);
        let wanted = stanzas
            .into_iter()
            .filter(|stanza| self.long || !stanza.long);
        let named = |run: &Run| {
            self.filter
                .as_ref()
                .is_none_or(|filter| run.to_string().contains(filter))
        };
        wanted
            .flat_map(|stanza| stanza.runs(emulators))
            .filter(named)
            .collect()
    }

    /// Makes the runs, some at a time, and reports each as it ends.
    fn boot_all(&self, runs: Vec<Run>) -> Result<Count> {
        let bar = progress(runs.len());
        // Taken from the end: in the stanzas' order.
        let queue = Mutex::new(runs.into_iter().rev().collect::<Vec<_>>());
        let (sender, reports) = mpsc::channel();
        let mut count = Count::default();
        thread::scope(|scope| -> Result<()> {
            for _ in 0..self.jobs {
                let (queue, sender) = (&queue, sender.clone());
                scope.spawn(move || work(queue, &sender));
            }
            drop(sender);
            for report in reports {
                report.show(&bar)?;
                count.passed += usize::from(report.wrong.is_empty());
                count.failed += usize::from(!report.wrong.is_empty());
            }
            Ok(())
        })?;
        bar.finish_and_clear();
        if boot::stopped() {
            bail!("interrupted");
        }
        Ok(count)
    }
}

fn build(runs: &[Run]) -> Result<()> {
    fs::create_dir_all(LOGS)?;
    setup::need(&[Need::Busybox, Need::Programs, Need::Acpi])?;
    if runs.iter().any(|run| run.case.stanza.copies_kernels()) {
        debian::every_kernel()?;
    }
    build::machine()?;
    build::apps()?;
    for run in runs {
        run.machine(PathBuf::new()).need()?;
    }
    Ok(())
}

fn progress(total: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("[{elapsed}] {bar:30} {pos}/{len} runs");
    let bar = ProgressBar::new(total as u64);
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

fn work(queue: &Mutex<Vec<Run>>, reports: &mpsc::Sender<Report>) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some(run) = next.filter(|_| !boot::stopped()) else {
            return;
        };
        let began = Instant::now();
        let wrong = run.perform().unwrap_or_else(|error| format!("{error:#}\n"));
        if boot::stopped()
            || reports
                .send(Report {
                    run,
                    wrong,
                    took: began.elapsed(),
                })
                .is_err()
        {
            return;
        }
    }
}

impl Report {
    fn show(&self, bar: &ProgressBar) -> Result<()> {
        let word = if self.wrong.is_empty() {
            "ok  "
        } else {
            "FAIL"
        };
        let text = format!(
            "{word} {} {:.1} s\n{}",
            self.run,
            self.took.as_secs_f32(),
            self.wrong
        );
        bar.suspend(|| std::io::stdout().write_all(text.as_bytes()))?;
        bar.inc(1);
        if !std::io::stderr().is_terminal() {
            std::io::stdout().flush()?;
        }
        Ok(())
    }
}

impl Run {
    fn machine(&self, image: PathBuf) -> Machine {
        let stanza = &self.case.stanza;
        Machine {
            emulator: self.emulator,
            model: stanza
                .model
                .clone()
                .unwrap_or_else(|| self.emulator.model().into()),
            cpus: self.cpus,
            memory: stanza.memory,
            uefi: self.firmware == Firmware::Uefi,
            disk: stanza.disk,
            counting: false,
            bare: false,
            int_log: None,
            image,
        }
    }

    /// Boots, and says what is wrong.
    fn perform(&self) -> Result<String> {
        let stanza = &self.case.stanza;
        let prepared = self.case.prepare()?;
        let machine = self.machine(prepared.image());
        let (mut dialog, typist) = Dialog::new(&stanza.dialog);
        let boot = Boot {
            machine: &machine,
            timeout: Some(Duration::from_secs(stanza.timeout)),
            feed: stanza.stdin.clone().map(feed).or(typist),
            show: &mut |serial| {
                dialog.follow(serial);
                Ok(())
            },
        };
        let outcome = boot.run()?;
        let expect = expected(stanza)?;
        let text = outcome.serial.text();
        let mut wrong = verdict::judge(
            stanza,
            expect.as_deref(),
            &prepared.natives,
            &text,
            outcome.status(),
        );
        wrong += &dialog.unfinished();
        if let Some(pattern) = &stanza.bare
            && !boot::stopped()
        {
            wrong += &self.compare_bare(pattern, &machine, &prepared, &text)?;
        }
        if !wrong.is_empty() {
            wrong += &self.advice(&machine, &prepared, &outcome)?;
        }
        Ok(wrong)
    }

    /// Boots the guest's kernel on the machine as it is; says which lines came only from the guest.
    fn compare_bare(
        &self,
        pattern: &str,
        machine: &Machine,
        prepared: &Prepared,
        guest: &[u8],
    ) -> Result<String> {
        let stanza = &self.case.stanza;
        let of_guest = prepared.parts.named_guests()?;
        let number = |name| of_guest.first()?.option(name)?.parse().ok();
        let machine = Machine {
            cpus: number("cpus").unwrap_or(1),
            memory: number("mem").unwrap_or(GUEST_MEMORY),
            image: prepared.bare_image(),
            bare: true,
            ..machine.clone()
        };
        let boot = Boot {
            machine: &machine,
            timeout: Some(Duration::from_secs(stanza.timeout)),
            feed: None,
            show: &mut |_| Ok(()),
        };
        let outcome = boot.run()?;
        let name = format!("{}-bare.log", self.to_string().replace('/', "-"));
        let log = Path::new(LOGS).join(name);
        fs::write(&log, outcome.serial.text())?;
        let explanation = outcome.explanation(&machine);
        let explanation = explanation.map(|text| format!("bare: {text}\n"));
        let differs = verdict::beyond(pattern, guest, &outcome.serial.text())?;
        Ok(explanation.unwrap_or_default() + &differs)
    }

    /// How the emulator ended, the text's place, and the command that repeats the run.
    fn advice(&self, machine: &Machine, prepared: &Prepared, outcome: &Outcome) -> Result<String> {
        let log = Path::new(LOGS).join(format!("{}.log", self.to_string().replace('/', "-")));
        fs::write(&log, outcome.serial.text())?;
        let explanation = outcome
            .explanation(machine)
            .map(|text| text + "\n")
            .unwrap_or_default();
        let repeat = self.repeat(prepared);
        Ok(format!(
            "{explanation}serial text: {}\nrepeat: {repeat}\n",
            log.display()
        ))
    }

    /// The command line that makes this run again.
    fn repeat(&self, prepared: &Prepared) -> String {
        let stanza = &self.case.stanza;
        let mut words: Vec<String> = ["cargo", "xtask", "run"].map(str::to_owned).to_vec();
        let mut option =
            |name: &str, value: &str| words.extend([name.to_owned(), value.to_owned()]);
        option("--emulator", &self.emulator.to_string());
        option("--cpus", &self.cpus.to_string());
        option("--memory", &stanza.memory.to_string());
        option("--timeout", &stanza.timeout.to_string());
        if let Some(model) = &stanza.model {
            option("--model", model);
        }
        if !prepared.parts.cmdline.is_empty() {
            option("--cmdline", &prepared.parts.cmdline);
        }
        for guest in &prepared.parts.guests {
            option("--guest", guest);
        }
        let flags = [
            ("--uefi", self.firmware == Firmware::Uefi),
            ("--disk", stanza.disk),
        ];
        words.extend(
            flags
                .iter()
                .filter(|flag| flag.1)
                .map(|flag| flag.0.to_owned()),
        );
        let line = shell_words::join(words);
        match &stanza.stdin {
            Some(text) => format!("printf %s {} | {line}", shell_words::quote(text)),
            None => format!("{line} </dev/null"),
        }
    }
}

fn expected(stanza: &Stanza) -> Result<Option<String>> {
    match &stanza.expect_file {
        Some(file) => fs::read_to_string(file)
            .with_context(|| file.display().to_string())
            .map(Some),
        None => Ok(stanza.expect.clone()),
    }
}

fn feed(text: String) -> Feed {
    Box::new(move |mut port| {
        // An error means that the machine has ended.
        let _ = port
            .write_all(text.as_bytes())
            .and_then(|()| port.write_all(end_of_input(text.bytes().last())))
            .and_then(|()| port.flush());
    })
}
