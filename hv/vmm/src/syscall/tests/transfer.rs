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

#[test]
fn what_is_written_is_read() {
    let mut f = Fixture::new();
    let fd = f.open("/tmp/f", O_CREAT | O_RDWR);
    assert_eq!(fd, 3);
    f.write(fd, b"hello world");
    assert_eq!(f.call(__NR_lseek, &[fd, 6, SEEK_SET.into()]), 6);
    assert_eq!(f.call(__NR_read, &[fd, OUT, 100]), 5);
    assert_eq!(f.out(), *b"world");
    assert_eq!(f.call(__NR_read, &[fd, OUT, 100]), 0);
    assert_eq!(f.call(__NR_pread64, &[fd, OUT, 2, 1]), 2);
    assert_eq!(f.out(), *b"el");
    let pieces = f.words(&[OUT, 3, OUT + 3, 2]);
    f.call(__NR_lseek, &[fd, 0, SEEK_SET.into()]);
    assert_eq!(f.call(__NR_readv, &[fd, pieces, 2]), 5);
    assert_eq!(f.out(), *b"hello");
    f.error(__NR_read, &[fd, 0x1, 5], Errno::EFAULT);
    f.error(__NR_lseek, &[fd, u64::MAX, SEEK_SET.into()], Errno::EINVAL);
    assert_eq!(f.call(__NR_ftruncate, &[fd, 5]), 0);
    assert_eq!(f.call(__NR_lseek, &[fd, 0, SEEK_END.into()]), 5);
    assert_eq!(f.call(__NR_close, &[fd]), 0);
    f.error(__NR_read, &[fd, OUT, 1], Errno::EBADF);
    f.error(__NR_read, &[u64::MAX, OUT, 1], Errno::EBADF);
}

#[test]
fn redirection_works_as_a_shell_does_it() {
    let mut f = Fixture::new();
    let fd = f.open("/tmp/o", O_WRONLY | O_CREAT | O_APPEND);
    let saved = f.call(__NR_fcntl, &[1, F_DUPFD_CLOEXEC.into(), 10]);
    assert_eq!(saved, 10);
    assert_eq!(f.call(__NR_dup2, &[fd, 1]), 1);
    f.call(__NR_close, &[fd]);
    f.write(1, b"to the file\n");
    assert_eq!(f.call(__NR_dup2, &[10, 1]), 1);
    f.call(__NR_close, &[10]);
    f.write(1, b"to the console\n");
    assert_eq!(f.kernel.console, b"to the console\n");
    let ino = f.system.files.resolve(ROOT, b"/tmp/o", true).unwrap();
    assert_eq!(
        f.system.files.contents(ino).unwrap().chunk(0, 99),
        b"to the file\n"
    );
}

#[test]
fn sendfile_moves_a_file_to_the_console() {
    let mut f = Fixture::new();
    let fd = f.open("/tmp/f", O_CREAT | O_RDWR);
    f.write(fd, &[b'x'; 5000]);
    f.call(__NR_lseek, &[fd, 0, 0]);
    assert_eq!(f.call(__NR_sendfile, &[1, fd, 0, 1 << 24]), 5000);
    assert_eq!(f.kernel.console.len(), 5000);
    assert_eq!(f.call(__NR_sendfile, &[1, fd, 0, 1 << 24]), 0);
    f.error(__NR_sendfile, &[1, 0, 0, 5], Errno::EINVAL);
}

#[test]
fn devices_do_what_they_are_for() {
    let mut f = Fixture::new();
    let null = f.open("/dev/null", O_RDWR);
    f.write(null, b"gone");
    assert_eq!(f.call(__NR_read, &[null, OUT, 9]), 0);
    let zero = f.open("/dev/zero", O_RDONLY);
    f.process.memory.write(OUT, b"xxxx").unwrap();
    assert_eq!(f.call(__NR_read, &[zero, OUT, 2]), 2);
    assert_eq!(f.out(), *b"\0\0xx");
    let full = f.open("/dev/full", O_RDWR);
    f.error(__NR_write, &[full, OUT, 2], Errno::ENOSPC);
    let random = f.open("/dev/urandom", O_RDONLY);
    assert_eq!(f.call(__NR_read, &[random, OUT, 100_000]), 100_000);
}

#[test]
fn pieces_move_at_a_position() {
    let mut f = Fixture::new();
    let fd = f.open("/tmp/f", O_CREAT | O_RDWR);
    let (one, two) = (f.bytes(b"one"), f.bytes(b"two"));
    let pieces = f.words(&[one, 3, two, 3]);
    assert_eq!(f.call(__NR_pwritev, &[fd, pieces, 2, 2]), 6);
    let pieces = f.words(&[OUT + 4, 4, OUT, 4]);
    assert_eq!(f.call(__NR_preadv, &[fd, pieces, 2, 1]), 7);
    assert_eq!(f.out(), *b"two\0\0one");
    // The file's own offset stayed.
    assert_eq!(f.call(__NR_lseek, &[fd, 0, SEEK_CUR.into()]), 0);
}

#[test]
fn pipes_pass_bytes_and_end() {
    let mut f = Fixture::new();
    assert_eq!(f.call(__NR_pipe2, &[OUT, 0]), 0);
    assert_eq!(f.out(), [3, 0, 0, 0, 4, 0, 0, 0]);
    assert_eq!(f.outcome(__NR_read, &[3, OUT, 9]), Outcome::Block(None));
    f.write(4, b"through");
    let poll = f.words(&[3 | u64::from(POLLIN) << 32]);
    assert_eq!(f.call(__NR_poll, &[poll, 1, 0]), 1);
    assert_eq!(f.call(__NR_read, &[3, OUT, 9]), 7);
    assert_eq!(f.out(), *b"through");
    f.call(__NR_close, &[4]);
    assert_eq!(f.call(__NR_read, &[3, OUT, 9]), 0);
    assert_eq!(f.call(__NR_pipe2, &[OUT, 0]), 0);
    assert_eq!(f.out(), [4, 0, 0, 0, 5, 0, 0, 0]);
    f.call(__NR_close, &[4]);
    assert_eq!(
        f.outcome(__NR_write, &[5, OUT, 1]),
        Outcome::Kill(Signal::PIPE)
    );
}
