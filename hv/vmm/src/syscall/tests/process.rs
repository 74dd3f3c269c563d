//! The process itself.

use super::*;

#[test]
fn unknown_calls_are_refused() {
    let mut f = Fixture::new();
    for number in [999, u32::MAX, __NR_fork, __NR_socket] {
        f.error(number, &[], Errno::ENOSYS);
    }
}

#[test]
fn a_process_knows_itself() {
    let mut f = Fixture::new();
    assert_eq!(f.outcome(__NR_exit_group, &[0x103]), Outcome::Exit(3));
    assert_eq!(f.call(__NR_uname, &[OUT]), 0);
    assert_eq!(f.out(), *b"Linux\0");
    assert_eq!(f.call(__NR_arch_prctl, &[ARCH_SET_FS.into(), 0x1234]), 0);
    assert_eq!(f.kernel.fs_base, 0x1234);
    f.error(
        __NR_arch_prctl,
        &[ARCH_SET_FS.into(), 1 << 63],
        Errno::EPERM,
    );
    assert_eq!(f.call(__NR_setuid, &[1000]), 0);
    f.error(__NR_setuid, &[0], Errno::EPERM);
    assert_eq!(f.call(__NR_getrandom, &[OUT, 64, 0]), 64);
    let word = f.words(&[5]);
    let wait = FUTEX_WAIT | FUTEX_PRIVATE_FLAG;
    f.error(__NR_futex, &[word, wait.into(), 4, 0], Errno::EAGAIN);
    assert_eq!(
        f.outcome(__NR_futex, &[word, wait.into(), 5, 0]),
        Outcome::Block(None)
    );
    let at = f.next.next_multiple_of(32);
    assert_eq!(f.call(__NR_rseq, &[at, 32, 0, 9]), 0);
    f.error(__NR_rseq, &[at, 32, 0, 9], Errno::EBUSY);
    assert_eq!(f.call(__NR_rseq, &[at, 32, 1, 9]), 0);
}
