//! Any calls with any arguments.

use super::*;
use crate::memory::contents::SIZE_MAX;
use proptest::prelude::*;

/// Calls that move bytes or make something grow: half of all that are tried.
const GROWING: [u32; 16] = [
    __NR_write,
    __NR_writev,
    __NR_pwrite64,
    __NR_pwritev,
    __NR_readv,
    __NR_lseek,
    __NR_sendfile,
    __NR_copy_file_range,
    __NR_ftruncate,
    __NR_fallocate,
    __NR_pipe2,
    __NR_dup,
    __NR_open,
    __NR_mmap,
    __NR_mprotect,
    __NR_mincore,
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

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![0u32..470, proptest::sample::select(&GROWING[..])]
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
        assert!(pipe.is_none_or(|pipe| pipe.bytes.len() <= super::pipe::CAPACITY));
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
    fn any_calls_are_survived(calls in prop::collection::vec((number(), prop::array::uniform6((0u8..8, 0u64..0x40_0000))), 1..60)) {
        let mut f = fixture();
        let path = f.text("/tmp/../tmp/x");
        for (number, args) in calls {
            let args = args.map(|(kind, value)| match kind {
                0 | 1 => value % 8,
                2 => path,
                3 => OUT + value % 64 * 8,
                4 => EDGES[value as usize % EDGES.len()],
                5 => value.wrapping_mul(0x1_0001_0001_0001),
                6 => (value as i64).wrapping_neg() as u64,
                _ => value,
            });
            let _ = f.outcome(number, &args);
            f.thread.deadline = None;
            check_bounds(&mut f);
        }
    }
}
