//! `cargo xtask explain-int F`: QEMU's `-d int,cpu_reset` log, readable.

mod chain;
mod decode;
mod diagnose;
mod event;
mod level;
mod line;
mod print;
mod reader;
mod summary;
mod symbols;

#[cfg(test)]
mod tests;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use symbols::Symbols;

/// The hypervisor as `cargo xtask build` leaves it.
const ELF: &str = "target/x86_64-unknown-none/release/nestling";

/// What to explain, and how much of it.
#[derive(clap::Args, Debug, Clone, Default)]
pub(crate) struct Args {
    /// The log (`run --int-log F` records one); `-` reads standard input
    log: PathBuf,
    /// The hypervisor's ELF file
    #[arg(long, value_name = "F")]
    elf: Option<PathBuf>,
    /// A guest's ELF file, for names of guest addresses
    #[arg(long, value_name = "F")]
    guest_elf: Vec<PathBuf>,
    /// First line of the log to explain
    #[arg(long, value_name = "LINE", default_value_t = 1)]
    from: u64,
    /// Last line of the log to explain [default: the last]
    #[arg(long, value_name = "LINE")]
    to: Option<u64>,
    /// Rows of this vector only: 14, 0x0e or #PF
    #[arg(long, value_name = "N", value_parser = vector)]
    vector: Option<u8>,
    /// Diagnoses and summary only
    #[arg(long)]
    summary: bool,
}

/// Explains one log on standard output.
pub(crate) fn main(args: &Args) -> Result<()> {
    let host = host_symbols(args.elf.as_deref())?;
    let guests = args
        .guest_elf
        .iter()
        .map(|path| Symbols::read(path))
        .collect::<Result<Vec<_>>>()?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let result = explain_path(args, host, guests, &mut out).and_then(|()| Ok(out.flush()?));
    match result {
        Err(error) if crate::is_closed_pipe(&error) => Ok(()),
        other => other,
    }
}

fn explain_path(
    args: &Args,
    host: Symbols,
    guests: Vec<Symbols>,
    out: &mut impl Write,
) -> Result<()> {
    if args.log == Path::new("-") {
        return reader::explain(std::io::stdin().lock(), args, host, guests, out);
    }
    let name = args.log.display();
    if args.log.is_dir() {
        bail!("{name} is a directory, not a log");
    }
    let file =
        std::fs::File::open(&args.log).with_context(|| format!("cannot open the log {name}"))?;
    reader::explain(
        std::io::BufReader::with_capacity(1 << 20, file),
        args,
        host,
        guests,
        out,
    )
}

/// The default ELF may be missing (a warning), one that was named may not.
fn host_symbols(path: Option<&Path>) -> Result<Symbols> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(ELF);
    match path {
        Some(path) => Symbols::read(path),
        None if default.exists() => Symbols::read(&default),
        None => {
            eprintln!(
                "no {ELF}: no names of ours, host and guest are not told apart (`cargo xtask build`, or --elf F)"
            );
            Ok(Symbols::default())
        }
    }
}

fn vector(text: &str) -> Result<u8, String> {
    let named = (0..32).find(|v| decode::exception(*v).eq_ignore_ascii_case(text));
    let number = match text.strip_prefix("0x") {
        Some(hex) => u8::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    };
    named.or(number).ok_or_else(|| {
        format!("{text:?} is no vector: 0 to 255, 0x00 to 0xff, or a name such as #PF")
    })
}
