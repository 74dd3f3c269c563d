//! Calls that are cut into steps.

use super::super::progress::Progress;
use super::*;

/// How often a call is cut before it returns this.
fn cuts(f: &mut Fixture, number: u32, args: &[u64], value: u64) -> usize {
    for count in 0.. {
        match f.outcome(number, args) {
            Outcome::Again => assert!(count < 10_000),
            other => {
                assert_eq!(other, Outcome::Return(value));
                return count;
            }
        }
    }
    unreachable!()
}

/// A file of zeros that takes no memory.
fn sparse(f: &mut Fixture, size: u64) -> u64 {
    let fd = f.open("/tmp/sparse", O_CREAT | O_RDWR);
    assert_eq!(f.call(__NR_ftruncate, &[fd, size]), 0);
    fd
}

#[test]
fn the_console_is_written_in_small_steps_and_whole() {
    let mut f = Fixture::new();
    let text: Vec<u8> = (0..60_000u32).map(|n| (n % 251) as u8).collect();
    f.process.memory.write(OUT, &text).unwrap();
    let mut before = 0;
    while f.outcome(__NR_write, &[1, OUT, 60_000]) == Outcome::Again {
        assert!(f.kernel.console.len() - before <= 4096);
        before = f.kernel.console.len();
    }
    assert_eq!(f.kernel.console, text);
    f.kernel.console.clear();
    // Pieces, one of them empty, are cut where a step ends.
    let pieces = f.words(&[OUT, 700, OUT, 0, OUT + 700, 59_300]);
    assert!(cuts(&mut f, __NR_writev, &[1, pieces, 3], 60_000) > 10);
    assert_eq!(f.kernel.console, text);
}

#[test]
fn many_pieces_are_read_in_steps() {
    let mut f = Fixture::new();
    let file = sparse(&mut f, 1 << 30);
    let words: Vec<u64> = (0..1024).flat_map(|_| [OUT, 0x1_0000]).collect();
    let pieces = f.words(&words);
    let mut before = 0;
    while f.outcome(__NR_readv, &[file, pieces, 1024]) == Outcome::Again {
        let offset = f.system.open.get(1).unwrap().offset;
        assert!(offset - before <= 0x4_0000);
        before = offset;
    }
    assert_eq!(before, 0x400_0000 - 0x4_0000);
    let bad = f.words(&[OUT, 5, OUT, 1 << 63]);
    f.error(__NR_readv, &[file, bad, 2], Errno::EINVAL);
    let here = f.call(__NR_lseek, &[file, 0, SEEK_CUR.into()]);
    assert_eq!(here, 0x400_0000);
}

#[test]
fn what_moves_much_is_cut() {
    let mut f = Fixture::new();
    let file = sparse(&mut f, 5 << 20);
    let (null, zero) = (f.open("/dev/null", O_RDWR), f.open("/dev/zero", O_RDONLY));
    let half = 0x8_0000;
    assert!(cuts(&mut f, __NR_read, &[zero, OUT, half], half) > 0);
    assert!(cuts(&mut f, __NR_getrandom, &[OUT, half, 0], half) > 0);
    assert!(cuts(&mut f, __NR_pread64, &[file, OUT, half, 0], half) > 0);
    assert!(cuts(&mut f, __NR_sendfile, &[null, file, 0, 9 << 20], 5 << 20) >= 19);
    let at = f.words(&[1 << 20]);
    assert!(cuts(&mut f, __NR_sendfile, &[null, file, at, 9 << 20], 4 << 20) >= 15);
    assert_eq!(f.process.memory.read_u64(at), Ok(5 << 20));
    let anonymous = u64::from(MAP_PRIVATE | MAP_ANONYMOUS);
    let many = 64 << 20;
    let at = f.call(__NR_mmap, &[0, many, 0, anonymous, 0, 0]) as u64;
    assert!(cuts(&mut f, __NR_mincore, &[at, many, OUT], 0) > 0);
}

#[test]
fn a_full_pipe_is_written_whole_when_there_is_room_again() {
    let mut f = Fixture::new();
    assert_eq!(f.call(__NR_pipe2, &[OUT, 0]), 0);
    let text: Vec<u8> = (0..70_000u32).map(|n| (n % 241) as u8).collect();
    f.process.memory.write(OUT, &text).unwrap();
    let write = [4, OUT, 70_000];
    assert_eq!(f.outcome(__NR_write, &write), Outcome::Block(None));
    let pipe = &mut f.system.pipes.get(0).unwrap().bytes;
    let mut got: Vec<u8> = pipe.drain(..).collect();
    assert_eq!(f.call(__NR_write, &write), 70_000);
    got.extend(f.system.pipes.get(0).unwrap().bytes.drain(..));
    assert_eq!(got, text);
    // Who does not wait gets less.
    f.call(__NR_fcntl, &[4, F_SETFL.into(), O_NONBLOCK.into()]);
    assert_eq!(f.call(__NR_write, &write), 65_536);
}

/// A handler for SIGALRM, which comes in a second.
fn alarm_soon(f: &mut Fixture) {
    let action = f.words(&[0x1000, 0, 0, 0]);
    assert_eq!(
        f.call(__NR_rt_sigaction, &[SIGALRM.into(), action, 0, 8]),
        0
    );
    assert_eq!(f.outcome(__NR_alarm, &[1]), Outcome::Signals(0));
}

#[test]
fn a_signal_between_two_steps_ends_a_write_to_the_console() {
    let mut f = Fixture::new();
    alarm_soon(&mut f);
    let write = [1, OUT, 60_000];
    assert_eq!(f.outcome(__NR_write, &write), Outcome::Again);
    f.kernel.now = 1000;
    let ended = f.outcome(__NR_write, &write);
    assert_eq!(ended, Outcome::Signals(f.kernel.console.len() as u64));
    assert_eq!(f.thread.progress, Progress::default());
}

#[test]
fn a_signal_between_two_steps_may_kill() {
    let mut f = Fixture::new();
    f.kernel.has_input = true;
    f.kernel.typed.extend([3]);
    let write = [1, OUT, 60_000];
    assert_eq!(f.outcome(__NR_write, &write), Outcome::Kill(Signal::INT));
}

#[test]
fn what_linux_does_not_interrupt_is_done_before_a_handler_is_called() {
    let mut f = Fixture::new();
    let anonymous = u64::from(MAP_PRIVATE | MAP_ANONYMOUS);
    let many = 64 << 20;
    let at = f.call(__NR_mmap, &[0, many, 0, anonymous, 0, 0]) as u64;
    let file = sparse(&mut f, 1 << 20);
    let (mincore, read) = ([at, many, OUT], [file, OUT, 0x8_0000]);
    for (number, args, value) in [(__NR_mincore, mincore, 0), (__NR_read, read, 0x8_0000)] {
        alarm_soon(&mut f);
        f.kernel.now += 1000;
        assert!(cuts(&mut f, number, &args, value) > 0);
        let pause = f.outcome(__NR_pause, &[]);
        assert_eq!(pause, Outcome::Signals(Errno::EINTR.rax()));
        assert!(super::super::signal::take(&f.process, &mut f.thread).is_some());
    }
}
