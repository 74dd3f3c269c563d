//! Recorded logs (testdata/explain_int, made by its `kernels/record`) against the expected text beside them.
//! `hypervisor_stack` is what `cargo xtask run --cmdline fault=stack --int-log F` records, with the symbols that it needs;
//! `hypervisor_df` the same of `fault=df`.

use std::path::PathBuf;

use proptest::prelude::*;

use super::symbols::Symbols;
use super::{Args, reader};

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/explain_int"))
}

fn read(name: &str) -> String {
    let path = folder().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Symbols beginning with `guest` stand for the guest's ELF, the others for the hypervisor's.
fn symbols(name: &str) -> (Symbols, Symbols) {
    let text = read(&format!("{name}.symbols"));
    let (guest, host): (Vec<&str>, Vec<&str>) = text.lines().partition(|l| l.contains(" guest"));
    (
        Symbols::of_nm(&host.join("\n")),
        Symbols::of_nm(&guest.join("\n")),
    )
}

fn args() -> Args {
    Args {
        from: 1,
        ..Args::default()
    }
}

fn explain_text(log: &[u8], args: &Args, host: Symbols, guest: Symbols) -> anyhow::Result<String> {
    let mut out = Vec::new();
    reader::explain(log, args, host, vec![guest], &mut out)?;
    Ok(String::from_utf8(out)?)
}

fn explain(name: &str, args: &Args) -> String {
    let (host, guest) = symbols(name);
    explain_text(read(&format!("{name}.log")).as_bytes(), args, host, guest).unwrap()
}

/// With UPDATE=1 in the environment, writes the expected text anew.
fn check(name: &str) {
    let got = explain(name, &args());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(folder().join(format!("{name}.expected")), &got).unwrap();
    }
    assert_eq!(got, read(&format!("{name}.expected")), "{name}");
}

macro_rules! recorded {
    ($($name:ident)*) => {
        const LOGS: &[&str] = &[$(stringify!($name)),*];
        $(#[test] fn $name() { check(stringify!($name)); })*
    };
}

recorded! {
    unremapped_pic timer_storm missing_tss bad_selector triple_fault stack_overflow null_pointer svm_guest svm_guest_in_asm
    hypervisor_stack hypervisor_df
}

#[test]
fn a_storm_is_named() {
    let block = {
        let log = read("timer_storm.log");
        let start = log.find("Servicing").unwrap();
        let end = start + 1 + log[start + 1..].find("Servicing").unwrap();
        log[start..end].repeat(1500)
    };
    let (host, guest) = symbols("timer_storm");
    let text = explain_text(block.as_bytes(), &args(), host, guest).unwrap();
    assert!(text.contains("x 1500 (to line 29982)"), "{text}");
    assert!(
        text.contains("1500 interrupts of vector 20 at one RIP"),
        "{text}"
    );
}

#[test]
fn range_vector_and_summary() {
    let only = explain(
        "triple_fault",
        &Args {
            vector: Some(13),
            ..args()
        },
    );
    assert_eq!(
        only.lines()
            .filter(|l| l.contains("0008:0x") && !l.starts_with("line"))
            .count(),
        1,
        "{only}"
    );
    let none = explain(
        "triple_fault",
        &Args {
            from: 2,
            to: Some(20),
            ..args()
        },
    );
    assert!(
        none.contains("No well-known confusion") && none.contains(", 0 events"),
        "{none}"
    );
    let summary = explain(
        "triple_fault",
        &Args {
            summary: true,
            ..args()
        },
    );
    assert!(
        summary.starts_with("\nline 30") && !summary.contains("what, where"),
        "{summary}"
    );
}

#[test]
fn without_symbols_the_level_is_not_guessed() {
    let log = read("svm_guest.log");
    let text = explain_text(
        log.as_bytes(),
        &args(),
        Symbols::default(),
        Symbols::default(),
    )
    .unwrap();
    assert!(!text.contains("guest") && !text.contains("host"), "{text}");
}

#[test]
fn a_file_that_is_no_log_is_a_clear_error() {
    let error = explain_text(
        b"#!/bin/sh\nexit\n",
        &args(),
        Symbols::default(),
        Symbols::default(),
    )
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("no event of QEMU's `-d int` in 2 lines (2 not understood)"),
        "{error}"
    );
}

#[test]
fn a_line_without_end_is_cut() {
    let mut log = vec![b'x'; 1 << 16];
    log.extend_from_slice(b"\nCPU Reset (CPU 0)\n");
    let text = explain_text(&log, &args(), Symbols::default(), Symbols::default()).unwrap();
    assert!(
        text.contains("2 lines, 0 events\n1 lines not understood"),
        "{text}"
    );
}

#[test]
fn vectors_on_the_command_line() {
    assert_eq!(super::vector("#pf"), Ok(14));
    assert_eq!(super::vector("0x0e"), Ok(14));
    assert_eq!(super::vector("32"), Ok(32));
    assert!(super::vector("256").is_err());
}

/// A log with some lines taken away, doubled, swapped, given other digits or other bytes.
fn damaged(name: &str, changes: &[(u8, prop::sample::Index, u8)]) -> Vec<u8> {
    let text = read(&format!("{name}.log"));
    let mut lines: Vec<Vec<u8>> = text.lines().map(|line| line.as_bytes().to_vec()).collect();
    for (change, place, byte) in changes {
        if lines.is_empty() {
            break;
        }
        let at = place.index(lines.len());
        let column = usize::from(*byte) % lines[at].len().max(1);
        match change {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[at].clone()),
            2 => {
                let other = usize::from(*byte) % lines.len();
                lines.swap(at, other);
            }
            3 => lines[at].truncate(column),
            4 => lines[at]
                .iter_mut()
                .filter(|c| c.is_ascii_hexdigit())
                .for_each(|c| *c = b"0123456789abcdef"[usize::from(byte & 15)]),
            _ => lines[at].splice(column..column, [*byte]).for_each(drop),
        }
    }
    lines.join(&b'\n')
}

proptest! {
    #[test]
    fn damaged_logs_do_not_panic(
        name in prop::sample::select(LOGS),
        changes in prop::collection::vec((0u8..6, any::<prop::sample::Index>(), any::<u8>()), 1..40),
    ) {
        let (host, guest) = symbols(name);
        let _ = explain_text(&damaged(name, &changes), &args(), host, guest);
    }
}
