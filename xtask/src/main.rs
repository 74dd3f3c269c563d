//! The build, run and test commands of Nestling: `cargo xtask --help`.

mod archive;
mod bench;
mod boot;
mod build;
mod debian;
mod emulator;
mod explain_int;
mod guest;
mod image;
mod initramfs;
mod run;
mod serial;
mod setup;
mod suite;
mod tidy;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

/// Builds, boots, tests and measures Nestling.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Installs what is missing on this machine; quick when nothing is.
    Setup,
    /// Builds the hypervisor, the test guests and the C programs.
    Build,
    GrubImage(image::Args),
    Run(run::Args),
    /// Checks the crates' arrows, words, sizes, formatting and clippy.
    Tidy(tidy::Args),
    /// Prints QEMU's `-d int` log readable.
    ExplainInt(explain_int::Args),
    Test(suite::Args),
    Bench(bench::Args),
}

fn main() -> ExitCode {
    match perform(Task::parse()) {
        Ok(status) => ExitCode::from(status),
        Err(_) if boot::stopped() => ExitCode::from(130),
        Err(error) if is_closed_pipe(&error) => ExitCode::from(CLOSED_PIPE),
        Err(error) => {
            eprintln!("xtask: error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// What a shell says of a program whose reader has ended: 128 and SIGPIPE.
const CLOSED_PIPE: u8 = 141;

/// Whoever read our output, `head` for one, has had enough.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn perform(task: Task) -> Result<u8> {
    // The log to explain is named from where the user stands.
    if !matches!(task, Task::ExplainInt(_)) {
        let top = build::workspace();
        std::env::set_current_dir(top).with_context(|| top.display().to_string())?;
    }
    match task {
        Task::Setup => setup::everything().map(|()| 0),
        Task::Build => build::everything().map(|()| 0),
        Task::GrubImage(args) => image::main(&args).map(|()| 0),
        Task::Run(args) => run::main(&args),
        Task::Tidy(args) => tidy::main(&args),
        Task::ExplainInt(args) => explain_int::main(&args).map(|()| 0),
        Task::Test(args) => suite::main(&args),
        Task::Bench(args) => bench::main(&args),
    }
}
