//! Users and groups.

use super::*;

/// -1: it stays.
const KEEP: u64 = u32::MAX as u64;

#[test]
fn groups_are_changed_by_who_is_root_whatever_its_group() {
    let mut f = Fixture::new();
    // capabilities(7): CAP_SETGID comes with the effective user 0.
    assert_eq!(f.call(__NR_setgid, &[5]), 0);
    assert_eq!(f.call(__NR_setgid, &[7]), 0);
    assert_eq!(f.call(__NR_setregid, &[8, 9]), 0);
    assert_eq!(f.call(__NR_setresgid, &[1, 2, 3]), 0);
    assert_eq!(f.call(__NR_setresgid, &[0, 0, 0]), 0);
    assert_eq!(f.call(__NR_setgroups, &[0, 0]), 0);
    assert_eq!(f.call(__NR_setresuid, &[KEEP, 1000, KEEP]), 0);
    f.error(__NR_setgid, &[5], Errno::EPERM);
    f.error(__NR_setregid, &[5, KEEP], Errno::EPERM);
    f.error(__NR_setresgid, &[KEEP, KEEP, 5], Errno::EPERM);
    f.error(__NR_setgroups, &[0, 0], Errno::EPERM);
    f.error(__NR_setgroups, &[65537, 0], Errno::EPERM);
    assert_eq!(f.call(__NR_setgid, &[0]), 0);
    assert_eq!(f.call(__NR_setuid, &[0]), 0);
    f.error(__NR_setgroups, &[65537, 0], Errno::EINVAL);
}

#[test]
fn the_saved_user_changes_with_the_real_one() {
    let mut f = Fixture::new();
    let users = |f: &mut Fixture| {
        assert_eq!(f.call(__NR_getresuid, &[OUT, OUT + 4, OUT + 8]), 0);
        let record: [u8; 12] = f.out();
        [0, 4, 8].map(|at| record::u32_at(&record, at))
    };
    assert_eq!(f.call(__NR_setresuid, &[1, 0, 3]), 0);
    // setreuid(2): an effective user that is the old real one leaves the saved one.
    assert_eq!(f.call(__NR_setreuid, &[KEEP, 1]), 0);
    assert_eq!(users(&mut f), [1, 1, 3]);
    assert_eq!(f.call(__NR_setreuid, &[KEEP, 3]), 0);
    assert_eq!(users(&mut f), [1, 3, 3]);
    assert_eq!(f.call(__NR_setreuid, &[3, KEEP]), 0);
    assert_eq!(users(&mut f), [3, 3, 3]);
    f.error(__NR_setreuid, &[1, KEEP], Errno::EPERM);
    // The real user may not become the saved one.
    let mut f = Fixture::new();
    assert_eq!(f.call(__NR_setresuid, &[1, 2, 3]), 0);
    f.error(__NR_setreuid, &[3, KEEP], Errno::EPERM);
    assert_eq!(f.call(__NR_setreuid, &[2, KEEP]), 0);
    assert_eq!(users(&mut f), [2, 2, 2]);
}
