use super::*;
use std::format;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::string::String;
use std::vec;

const BASE: u32 = 0xe_0040;

fn placed(cpus: u8) -> Tables {
    let mut tables = Tables::new(cpus);
    tables.place(BASE);
    tables
}

fn le(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |sum, &b| sum << 8 | u64::from(b))
}

/// The table whose address is at this place.
fn follow(tables: &Tables, pointer: &[u8]) -> Vec<u8> {
    let at = (le(pointer) - u64::from(BASE)) as usize;
    let length = le(&tables.tables[at + 4..at + 8]) as usize;
    tables.tables[at..at + length].to_vec()
}

#[test]
fn every_pointer_leads_to_its_table() {
    for cpus in 1..=8 {
        let tables = placed(cpus);
        let rsdt = follow(&tables, &tables.rsdp[16..20]);
        let xsdt = follow(&tables, &tables.rsdp[24..32]);
        assert_eq!((&rsdt[..4], &xsdt[..4]), (&b"RSDT"[..], &b"XSDT"[..]));
        assert_eq!((rsdt.len(), xsdt.len()), (36 + 2 * 4, 36 + 2 * 8));
        let fadt = follow(&tables, &xsdt[36..44]);
        let madt = follow(&tables, &xsdt[44..52]);
        assert_eq!((&fadt[..4], &madt[..4]), (&b"FACP"[..], &b"APIC"[..]));
        assert_eq!(follow(&tables, &rsdt[36..40]), fadt);
        assert_eq!(follow(&tables, &rsdt[40..44]), madt);
        assert_eq!(&follow(&tables, &fadt[36..40])[..4], b"FACS");
        assert_eq!(le(&fadt[36..40]) % 64, 0);
        let dsdt = follow(&tables, &fadt[40..44]);
        assert_eq!(
            (&dsdt[..4], dsdt.len()),
            (&b"DSDT"[..], DSDT.len() + 35 * usize::from(cpus))
        );
        assert_eq!(follow(&tables, &fadt[140..148]), dsdt);
        for table in [&rsdt, &xsdt, &fadt, &madt, &dsdt] {
            assert_eq!(complement(table), 0, "{:?}", &table[..4]);
        }
        assert_eq!(
            (complement(&tables.rsdp[..20]), complement(&tables.rsdp)),
            (0, 0)
        );
    }
}

#[test]
fn our_own_parser_finds_processors_and_timer() {
    let tables = placed(3);
    let read = |at: u64, out: &mut [u8]| {
        let from = at.checked_sub(BASE.into()).map(|at| at as usize);
        let bytes = from.and_then(|at| tables.tables.get(at..)?.get(..out.len()));
        bytes.map(|bytes| out.copy_from_slice(bytes)).is_some()
    };
    for (root, is_xsdt) in [
        (le(&tables.rsdp[16..20]), false),
        (le(&tables.rsdp[24..32]), true),
    ] {
        let madt = crate::acpi::find_madt(&read, root, is_xsdt).unwrap();
        assert_eq!(
            (madt.apic_ids, madt.io_apics),
            (vec![0, 1, 2], vec![0xfec0_0000])
        );
        assert_eq!(
            crate::acpi::find_pm_timer(&read, root, is_xsdt),
            Some(0x608)
        );
    }
}

/// ACPI Specification "Fixed ACPI Description Table": offsets in hexadecimal as there.
#[test]
fn the_fadt_describes_the_fixed_hardware() {
    let tables = placed(1);
    let xsdt = follow(&tables, &tables.rsdp[24..32]);
    let fadt = follow(&tables, &xsdt[36..44]);
    assert_eq!(fadt.len(), 244);
    for (at, size, want) in [
        (46, 2, 9),
        (48, 4, 0),
        (52, 2, 0),
        (56, 4, 0x600),
        (64, 4, 0x604),
        (76, 4, 0x608),
        (88, 4, 0x0400_0204),
        (109, 2, 0b101),
        (116, 4, 0x0100_0801),
        (120, 8, 0xcf9),
        (128, 1, 6),
        (132, 8, 0),
        (152, 8, 0x600),
        (176, 8, 0x604),
        (212, 8, 0x608),
    ] {
        assert_eq!(le(&fadt[at..at + size]), want, "offset {at}");
    }
    let flags = le(&fadt[112..116]);
    assert_eq!(
        (flags >> 20 & 1, flags >> 10 & 1, flags >> 8 & 1),
        (0, 1, 1),
        "HW_REDUCED, reset, timer"
    );
}

/// Runs iasl in this directory; `None`, and a line, where it is not installed. Fails on errors and warnings.
fn iasl(directory: &Path, arguments: &[&str]) -> Option<()> {
    let run = Command::new("iasl")
        .args(arguments)
        .current_dir(directory)
        .output();
    let Ok(run) = run else {
        std::eprintln!(
            "skipped: iasl is not installed (`cargo xtask setup` installs acpica-tools)"
        );
        return None;
    };
    let text = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{arguments:?}\n{text}");
    for bad in ["Error  ", "Warning  ", "Invalid", "Unknown", "incorrect"] {
        assert!(!text.contains(bad), "{arguments:?}\n{text}");
    }
    Some(())
}

fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("nestling-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn the_dsdt_comes_from_its_source() {
    let to = directory("dsdt");
    std::fs::write(to.join("dsdt.asl"), include_str!("../dsdt.asl")).unwrap();
    if iasl(&to, &["-p", "dsdt", "dsdt.asl"]).is_some() {
        let mut made = std::fs::read(to.join("dsdt.aml")).unwrap();
        // The compiler's version, and with it the checksum.
        made[32..36].copy_from_slice(&DSDT[32..36]);
        made[9] = DSDT[9];
        assert!(made == DSDT, "run iasl again: see guest/pc/dsdt.asl");
    }
    std::fs::remove_dir_all(to).unwrap();
}

/// The signatures of the tables, and the tables.
fn all(cpus: u8) -> Vec<(String, Vec<u8>)> {
    let tables = placed(cpus);
    let xsdt = follow(&tables, &tables.rsdp[24..32]);
    let fadt = follow(&tables, &xsdt[36..44]);
    let all = [
        follow(&tables, &tables.rsdp[16..20]),
        follow(&tables, &xsdt[44..52]),
        follow(&tables, &fadt[36..40]),
        follow(&tables, &fadt[40..44]),
        xsdt,
        fadt,
    ];
    let name = |table: &[u8]| String::from_utf8(table[..4].to_vec()).unwrap();
    all.into_iter().map(|table| (name(&table), table)).collect()
}

/// iasl takes each table apart without a warning, and makes it again from what it wrote: data tables to the same
/// bytes. (A processor's `_UID` of 0x00 becomes Zero in the DSDT, which is one byte shorter.)
#[test]
fn iasl_accepts_all_tables() {
    for cpus in [1, 8] {
        let to = directory(&format!("tables{cpus}"));
        for (name, bytes) in all(cpus) {
            let (from, text) = (format!("{name}.dat"), format!("{name}.dsl"));
            std::fs::write(to.join(&from), &bytes).unwrap();
            let again = || {
                iasl(&to, &["-d", &from])?;
                iasl(&to, &["-p", &name, &text])
            };
            if again().is_none() {
                break;
            }
            let mut made = std::fs::read(to.join(format!("{name}.aml"))).unwrap();
            if name == "DSDT" {
                let text = std::fs::read_to_string(to.join(&text)).unwrap();
                let last = |cpu| text.contains(&format!("Device (\\_SB.C00{cpu})"));
                assert!(last(cpus - 1) && !last(cpus));
                continue;
            }
            if name != "FACS" {
                // The compiler puts its own name and version there.
                made[28..36].copy_from_slice(&bytes[28..36]);
                made[9] = bytes[9];
            }
            assert!(made == bytes, "{name}");
        }
        std::fs::remove_dir_all(to).unwrap();
    }
}
