//! Any calls with any arguments.

use super::*;
use crate::memory::contents::SIZE_MAX;
use proptest::prelude::*;

/// Calls that move bytes, make something grow or set a timer, half of all that are tried, and what their arguments are:
/// `f` an open file, `o` where an offset is or none, `n` an edge, `b` a buffer, `0` nothing, `?` anything.
const SHAPED: [(u32, &[u8; 6]); 19] = [
    (__NR_read, b"fbn???"),
    (__NR_write, b"fbn???"),
    (__NR_writev, b"fb????"),
    (__NR_readv, b"fb????"),
    (__NR_pwrite64, b"fbnn??"),
    (__NR_pwritev, b"fb?n??"),
    (__NR_lseek, b"fn????"),
    (__NR_sendfile, b"ffon??"),
    (__NR_copy_file_range, b"fofon0"),
    (__NR_ftruncate, b"fn????"),
    (__NR_fallocate, b"f0nn??"),
    (__NR_pipe2, b"b0????"),
    (__NR_dup, b"f?????"),
    (__NR_mmap, b"0n??fn"),
    (__NR_mprotect, b"?n????"),
    (__NR_mincore, b"?nb???"),
    (__NR_alarm, b"n?????"),
    (__NR_setitimer, b"0bo???"),
    (__NR_getitimer, b"0b????"),
];

/// Numbers at the edges of offsets and counts.
const EDGES: [u64; 8] = [
    0,
    5,
    4096,
    1 << 20,
    i64::MAX as u64 - 5,
    i64::MAX as u64,
    1 << 63,
    -6i64 as u64,
];

fn call() -> impl Strategy<Value = (u32, &'static [u8; 6])> {
    let any = (0u32..470).prop_map(|number| (number, b"??????"));
    prop_oneof![any, proptest::sample::select(&SHAPED[..])]
}

/// An argument of this shape.
fn argument(shape: u8, kind: u8, value: u64, path: u64) -> u64 {
    let edge = EDGES[value as usize % EDGES.len()];
    match (shape, kind) {
        (b'f', _) => 3 + value % 5,
        (b'o', 0) | (b'0', _) => 0,
        (b'o', _) => OUT + value % 64 * 8,
        (b'n', _) => edge,
        (b'b', _) => OUT + value % 0x1000,
        (_, 0 | 1) => value % 8,
        (_, 2) => path,
        (_, 3) => OUT + value % 64 * 8,
        (_, 4) => edge,
        (_, 5) => value.wrapping_mul(0x1_0001_0001_0001),
        (_, 6) => (value as i64).wrapping_neg() as u64,
        _ => value,
    }
}

/// A process with every kind of open file, from 3 on, and edges at [`OUT`].
fn fixture() -> Fixture {
    let mut f = Fixture::new();
    let file = f.open("/tmp/f", O_CREAT | O_RDWR);
    f.write(file, &[b'f'; 6000]);
    f.open("/tmp/g", O_CREAT | O_RDWR);
    f.open("/dev/zero", O_RDWR);
    assert_eq!(f.call(__NR_pipe2, &[OUT, O_NONBLOCK.into()]), 0);
    f.kernel.has_input = true;
    f.kernel.typed.extend(b"typed\r");
    let edges: Vec<u8> = EDGES.iter().flat_map(|edge| edge.to_le_bytes()).collect();
    f.process.memory.write(OUT, &edges.repeat(64)).unwrap();
    f
}

/// What we keep for a process is within its bounds.
fn check_bounds(f: &mut Fixture) {
    let budget = f.system.files.budget;
    assert!(budget.free <= budget.total);
    for ino in 0..200 {
        let size = f.system.files.contents(ino).map_or(0, Contents::size);
        assert!(size <= SIZE_MAX, "inode {ino} has {size:#x} bytes");
    }
    for pipe in 0..100 {
        let pipe = f.system.pipes.get(pipe);
        assert!(pipe.is_none_or(|pipe| pipe.bytes.len() <= pipe.capacity));
    }
    for file in 0..100 {
        let offset = f.system.open.get(file).map_or(0, |file| file.offset);
        assert!(offset <= SIZE_MAX, "open file {file} is at {offset:#x}");
    }
    f.process.memory.check_bounds();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever a program asks for, we live, and what we keep for it stays within bounds.
    #[test]
    fn any_calls_are_survived(calls in prop::collection::vec((call(), prop::array::uniform6((0u8..8, 0u64..0x40_0000))), 1..60)) {
        let mut f = fixture();
        let path = f.text("/tmp/../tmp/x");
        for ((number, shapes), args) in calls {
            let args: Vec<u64> = shapes.iter().zip(args).map(|(&shape, (kind, value))| argument(shape, kind, value, path)).collect();
            let _ = f.outcome(number, &args);
            f.thread.deadline = None;
            check_bounds(&mut f);
        }
    }
}
