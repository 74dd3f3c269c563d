//! The terminal.

use super::*;

#[test]
fn the_console_is_a_terminal() {
    let mut f = Fixture::new();
    assert_eq!(f.call(__NR_ioctl, &[1, TIOCGWINSZ.into(), OUT]), 0);
    assert_eq!(f.out(), [24, 0, 80, 0, 0, 0, 0, 0]);
    assert_eq!(f.call(__NR_ioctl, &[0, TCGETS.into(), OUT]), 0);
    f.error(__NR_ioctl, &[1, TIOCGWINSZ.into(), 8], Errno::EFAULT);
    let file = f.open("/tmp/f", O_CREAT);
    f.error(__NR_ioctl, &[file, TCGETS.into(), OUT], Errno::ENOTTY);
    // Nobody can type: the end of the file, or nothing for who does not wait.
    assert_eq!(f.call(__NR_read, &[0, OUT, 9]), 0);
    let flags = f.call(__NR_fcntl, &[0, F_GETFL.into()]) as u64;
    let nonblocking = flags | u64::from(O_NONBLOCK);
    f.call(__NR_fcntl, &[0, F_SETFL.into(), nonblocking]);
    f.error(__NR_read, &[0, OUT, 9], Errno::EAGAIN);
    f.call(__NR_fcntl, &[0, F_SETFL.into(), flags]);
    f.kernel.has_input = true;
    assert_eq!(f.outcome(__NR_read, &[0, OUT, 9]), Outcome::Block(None));
    f.kernel.typed.extend(b"ab\x7fc");
    assert_eq!(f.outcome(__NR_read, &[0, OUT, 9]), Outcome::Block(None));
    f.kernel.typed.extend(b"\rmore\r\x04");
    assert_eq!(f.call(__NR_read, &[0, OUT, 9]), 3);
    assert_eq!(f.out(), *b"ac\n");
    assert_eq!(f.call(__NR_read, &[0, OUT, 2]), 2);
    assert_eq!(f.call(__NR_read, &[0, OUT, 9]), 3);
    assert_eq!(f.call(__NR_read, &[0, OUT, 9]), 0);
    f.kernel.typed.push_back(3);
    assert_eq!(
        f.outcome(__NR_read, &[0, OUT, 9]),
        Outcome::Kill(Signal::INT)
    );
}

/// What came while a shell edited its own line can be read by the program that it starts.
#[test]
fn typed_ahead_is_not_lost_when_the_mode_changes() {
    let mut f = Fixture::new();
    f.kernel.has_input = true;
    let mut raw = f.system.terminal.termios();
    let canonical = raw;
    raw[12] &= !(ICANON as u8);
    f.system.terminal.set_termios(&raw);
    f.kernel.typed.extend(b"xhello\rmore\r");
    assert_eq!(f.call(__NR_read, &[0, OUT, 1]), 1);
    f.system.terminal.set_termios(&canonical);
    assert_eq!(f.call(__NR_read, &[0, OUT, 6]), 6);
    assert_eq!(f.out(), *b"hello\n");
    assert_eq!(f.call(__NR_read, &[0, OUT, 9]), 5);
    assert_eq!(f.outcome(__NR_read, &[0, OUT, 9]), Outcome::Block(None));
}
