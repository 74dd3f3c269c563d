//! Moving bytes.

use super::*;

/// An offset that is negative, so near to 0 that a count wraps it.
const BEHIND_ZERO: u64 = -6i64 as u64;
/// The largest offset.
const LAST: u64 = i64::MAX as u64;

/// A file of 100 bytes and an empty one.
fn two_files(f: &mut Fixture) -> (u64, u64) {
    let from = f.open("/tmp/from", O_CREAT | O_RDWR);
    f.write(from, &[b'x'; 100]);
    (from, f.open("/tmp/to", O_CREAT | O_RDWR))
}

#[test]
fn a_range_is_not_copied_to_where_no_file_can_be() {
    let mut f = Fixture::new();
    let (from, to) = two_files(&mut f);
    for (offset, count, error) in [
        (BEHIND_ZERO, 5, Errno::EINVAL),
        (BEHIND_ZERO, 100, Errno::EOVERFLOW),
        (1 << 63, 100, Errno::EINVAL),
        (LAST, 100, Errno::EFBIG),
    ] {
        let (start, end) = (f.words(&[0]), f.words(&[offset]));
        f.error(
            __NR_copy_file_range,
            &[from, start, to, end, count, 0],
            error,
        );
    }
    for (offset, count, error) in [
        (BEHIND_ZERO, 5, Errno::EINVAL),
        (BEHIND_ZERO, 100, Errno::EOVERFLOW),
    ] {
        let (start, end) = (f.words(&[offset]), f.words(&[0]));
        f.error(
            __NR_copy_file_range,
            &[from, start, to, end, count, 0],
            error,
        );
    }
    let (start, end) = (f.words(&[0]), f.words(&[LAST - 5]));
    let near = [from, start, to, end, 100, 0];
    assert_eq!(f.call(__NR_copy_file_range, &near), 5);
    assert_eq!(f.call(__NR_lseek, &[to, 0, SEEK_END.into()]), i64::MAX);
}

#[test]
fn a_file_ends_where_offsets_end() {
    let mut f = Fixture::new();
    let (from, to) = two_files(&mut f);
    let start = f.words(&[0]);
    f.call(__NR_lseek, &[to, LAST, 0]);
    f.error(__NR_sendfile, &[to, from, start, 5], Errno::EFBIG);
    f.call(__NR_lseek, &[to, LAST - 5, 0]);
    assert_eq!(f.call(__NR_sendfile, &[to, from, start, 100]), 5);
    let past = f.words(&[BEHIND_ZERO]);
    f.error(__NR_sendfile, &[to, from, past, 100], Errno::EINVAL);
}

#[test]
fn no_bytes_are_moved_through_a_pipe_at_once() {
    let mut f = Fixture::new();
    assert_eq!(f.call(__NR_pipe2, &[OUT, 0]), 0);
    assert_eq!(f.call(__NR_read, &[3, OUT, 0]), 0);
    let nothing = f.words(&[OUT, 0]);
    assert_eq!(f.call(__NR_readv, &[3, nothing, 1]), 0);
    assert_eq!(f.call(__NR_write, &[4, ARGS, 65536]), 65536);
    assert_eq!(f.call(__NR_write, &[4, ARGS, 0]), 0);
    // Nor does who writes nothing learn that nobody reads.
    f.call(__NR_close, &[3]);
    assert_eq!(f.call(__NR_write, &[4, ARGS, 0]), 0);
    assert_eq!(f.call(__NR_read, &[0, OUT, 0]), 0);
}

#[test]
fn a_key_kills_also_in_the_middle_of_a_call() {
    let mut f = Fixture::new();
    f.kernel.has_input = true;
    // So many lines that the interrupt key is looked at when the first is read.
    f.kernel.typed.extend(b"\r".repeat(4095));
    f.kernel.typed.push_back(3);
    let pieces = f.words(&[OUT, 1, OUT, 1]);
    let killed = Outcome::Kill(Signal::INT);
    assert_eq!(f.outcome(__NR_readv, &[0, pieces, 2]), killed);
}
