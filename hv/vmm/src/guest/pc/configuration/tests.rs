use super::*;
use std::string::String;

fn item(name: Name) -> Vec<u8> {
    let items = items(0x0800_0000, 3);
    let mut found = items.into_iter().filter(|item| item.0 == name);
    found.next().unwrap().1
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn name(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&b| b == 0).unwrap();
    String::from_utf8(bytes[..end].to_vec()).unwrap()
}

#[test]
fn numbers_have_the_sizes_that_are_read() {
    assert_eq!(item(Name::Key(3)), 0x0800_0000_u64.to_le_bytes());
    assert_eq!(
        (item(Name::Key(5)), item(Name::Key(15))),
        ([3, 0].to_vec(), [3, 0].to_vec())
    );
    assert_eq!(item(Name::File("etc/sercon-port")), [0xf8, 3]);
    let e820 = item(Name::File("etc/e820"));
    assert_eq!(
        (&e820[..8], &e820[8..16]),
        (&[0; 8][..], &0x0800_0000_u64.to_le_bytes()[..])
    );
    assert_eq!((word(&e820, 16), e820.len()), (1, 20));
}

/// Firmware as the script wants it: the two pieces at these addresses.
#[test]
fn the_loader_script_makes_the_tables_that_we_place_ourselves() {
    const AT: u32 = 0x7ff_0040;
    let script = item(Name::File("etc/table-loader"));
    let mut rsdp = item(Name::File("etc/acpi/rsdp"));
    let mut tables = item(Name::File("etc/acpi/tables"));
    let mut allocated = Vec::new();
    for command in script.chunks(128) {
        let piece = name(&command[4..60]);
        let bytes = if piece == "etc/acpi/rsdp" {
            &mut rsdp
        } else {
            &mut tables
        };
        match word(command, 0) {
            1 => allocated.push((piece, word(command, 60), command[64])),
            2 => {
                assert_eq!(name(&command[60..116]), "etc/acpi/tables");
                let at = word(command, 116) as usize;
                let sum = word(bytes, at) + AT;
                bytes[at..at + 4].copy_from_slice(&sum.to_le_bytes());
                assert!(matches!(command[120], 4 | 8));
            }
            3 => {
                let [at, start, length] = [60, 64, 68].map(|at| word(command, at) as usize);
                let sum = bytes[start..start + length]
                    .iter()
                    .fold(0_u8, |sum, &b| sum.wrapping_add(b));
                bytes[at] = bytes[at].wrapping_sub(sum);
            }
            other => panic!("{other}"),
        }
    }
    let want = [
        ("etc/acpi/tables".into(), 64, 1),
        ("etc/acpi/rsdp".into(), 16, 2),
    ];
    assert_eq!(allocated, want);
    let mut own = Tables::new(3);
    own.place(AT);
    assert!((rsdp, tables) == (own.rsdp, own.tables));
}
