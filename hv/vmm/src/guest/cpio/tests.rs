use super::*;
use proptest::prelude::*;
use std::format;
use std::vec::Vec;

/// Adds an entry to an archive that is being made.
pub(crate) fn add(to: &mut Vec<u8>, name: &str, mode: u32, inode: u32, links: u32, data: &[u8]) {
    let fields = [
        inode,
        mode,
        0,
        0,
        links,
        1_000_000_000,
        data.len() as u32,
        8,
        1,
        5,
        1,
        name.len() as u32 + 1,
        0,
    ];
    to.extend(b"070701");
    for field in fields {
        to.extend(format!("{field:08X}").as_bytes());
    }
    for part in [[name.as_bytes(), b"\0"].concat(), data.to_vec()] {
        to.extend(part);
        to.resize(to.len().next_multiple_of(4), 0);
    }
}

fn sample() -> Vec<u8> {
    let mut archive = Vec::new();
    add(&mut archive, ".", 0o40755, 1, 2, b"");
    add(&mut archive, "a", 0o100644, 2, 1, b"hello");
    add(&mut archive, "l", 0o120777, 3, 1, b"a");
    add(&mut archive, "TRAILER!!!", 0, 0, 1, b"");
    archive
}

#[test]
fn entries_come_in_order() {
    let archive = sample();
    let entries: Result<Vec<Entry<'_>>, CpioError> = Archive::new(&archive).collect();
    let entries = entries.unwrap();
    assert_eq!(entries.len(), 3);
    assert_eq!(
        (entries[1].name, entries[1].data),
        (&b"a"[..], &b"hello"[..])
    );
    assert_eq!(entries[1].modified, 1_000_000_000);
    assert_eq!((entries[2].device, entries[2].node), ((8, 1), (5, 1)));
}

fn last(bytes: &[u8]) -> Result<Entry<'_>, CpioError> {
    Archive::new(bytes).last().unwrap()
}

#[test]
fn faults_are_told_apart() {
    let archive = sample();
    assert_eq!(last(b"junk"), Err(CpioError::BadMagic(0)));
    assert_eq!(last(b"070707"), Err(CpioError::BadMagic(0)));
    assert_eq!(last(&archive[..50]), Err(CpioError::Truncated(0)));
    let end = archive.len() - 124;
    assert_eq!(last(&archive[..end]), Err(CpioError::NoTrailer));
    let mut bad = archive.clone();
    bad[20] = b'x';
    assert_eq!(last(&bad), Err(CpioError::BadNumber(14)));
    let mut bad = archive;
    bad[111] = b'.';
    assert_eq!(last(&bad), Err(CpioError::BadName(0)));
}

#[test]
fn an_initial_file_system_is_whole_or_cut_short() {
    let archive = sample();
    let (end, compressed) = (archive.len(), b"\x1f\x8b\x08 and so on");
    let no_trailer = &archive[..end - 124];
    for (parts, want) in [
        (&[&archive[..]][..], None),
        (&[&archive, &[0; 388]], None),
        (&[&archive, &[0; 4], &archive], None),
        (&[&archive, &archive, compressed], None),
        (&[&archive, &[0; 128], compressed], None),
        (&[compressed, &archive[..130]], None),
        (&[no_trailer, compressed], None),
        (&[no_trailer, &archive], None),
        (&[b"070707"], None),
        (&[], None),
        (&[no_trailer], Some(CpioError::NoTrailer)),
        (&[&archive[..end - 125]], Some(CpioError::NoTrailer)),
        (&[&archive[..end - 128]], Some(CpioError::Truncated(232))),
        (&[&archive[..end - 9]], Some(CpioError::Truncated(348))),
        (&[&archive, &archive[..3]], Some(CpioError::Truncated(472))),
        (
            &[&archive, &[0; 8], &archive[..120]],
            Some(CpioError::Truncated(592)),
        ),
    ] {
        assert_eq!(cut_short(&parts.concat()), want, "{parts:x?}");
    }
}

#[test]
fn nothing_follows_an_error() {
    let mut archive = Archive::new(b"junk");
    assert!(archive.next().unwrap().is_err());
    assert!(archive.next().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn mutated_archives_never_panic(changes in prop::collection::vec((0usize..500, any::<u8>()), 1..5), cut in 0usize..600) {
        let mut archive = sample();
        for (at, byte) in changes {
            let length = archive.len();
            archive[at % length] = byte;
        }
        archive.truncate(cut);
        let read = Archive::new(&archive).filter_map(Result::ok);
        for entry in read {
            prop_assert!(entry.data.len() <= archive.len());
        }
    }
}
