//! Advice, and what is set aside.

use super::*;

#[test]
fn fallocate_takes_pages() {
    let mut f = Fixture::new();
    let fd = f.open("/tmp/f", O_CREAT | O_RDWR);
    let keep = u64::from(FALLOC_FL_KEEP_SIZE);
    assert_eq!(f.call(__NR_fallocate, &[fd, keep, 0, 4097]), 0);
    assert_eq!(f.call(__NR_lseek, &[fd, 0, SEEK_END.into()]), 0);
    assert_eq!(f.call(__NR_fallocate, &[fd, 0, 4096, 5000]), 0);
    assert_eq!(f.call(__NR_lseek, &[fd, 0, SEEK_END.into()]), 9096);
    assert_eq!(f.call(__NR_fstat, &[fd, OUT]), 0);
    let stat: [u8; 144] = f.out();
    assert_eq!(super::record::u64_at(&stat, 64), 3 * 8);
    let free = f.system.files.budget.free;
    f.error(__NR_fallocate, &[fd, 0, 0, 1 << 40], Errno::ENOSPC);
    assert_eq!(f.system.files.budget.free, free);
    f.error(__NR_fallocate, &[fd, 0, 0, 0], Errno::EINVAL);
    f.error(__NR_fallocate, &[fd, 2, 0, 1], Errno::EOPNOTSUPP);
}

#[test]
fn advice_is_checked_and_forgotten() {
    let mut f = Fixture::new();
    let (fd, path) = (f.open("/tmp/f", O_CREAT), f.text("/tmp/f"));
    assert_eq!(f.call(__NR_fadvise64, &[fd, 0, 0, 5]), 0);
    f.error(__NR_fadvise64, &[fd, 0, 0, 6], Errno::EINVAL);
    f.error(__NR_fadvise64, &[99, 0, 0, 0], Errno::EBADF);
    assert_eq!(f.call(__NR_mlock, &[ARGS + 7, 5000]), 0);
    f.error(__NR_mlock, &[ARGS, 1 << 30], Errno::ENOMEM);
    assert_eq!(f.call(__NR_listxattr, &[path, 0, 0]), 0);
    f.error(__NR_getxattr, &[path, path, OUT, 9], Errno::EOPNOTSUPP);
    let mask = f.words(&[1, 2]);
    assert_eq!(f.call(__NR_sched_setaffinity, &[0, 8, mask]), 0);
    f.error(__NR_sched_setaffinity, &[0, 8, mask + 8], Errno::EINVAL);
}
