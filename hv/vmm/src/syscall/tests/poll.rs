//! Waiting for files.

use super::*;

#[test]
fn select_looks_at_no_more_files_than_there_can_be() {
    let mut f = Fixture::new();
    let now = f.words(&[0, 0]);
    // Room for 5000 bits; number 1 is the console.
    f.process.memory.write(OUT, &[0; 5000 / 8]).unwrap();
    f.process.memory.write(OUT, &[2]).unwrap();
    assert_eq!(f.call(__NR_select, &[5000, 0, OUT, 0, now]), 1);
    assert_eq!(f.out(), [2, 0]);
    assert_eq!(f.call(__NR_pselect6, &[1 << 31, 0, OUT, 0, now, 0]), -22);
    f.error(__NR_select, &[u64::MAX, 0, OUT, 0, now], Errno::EINVAL);
    // The count is an int.
    assert_eq!(f.call(__NR_select, &[1 << 32 | 2, 0, OUT, 0, now]), 1);
    f.process.memory.write(OUT + 127, &[0x80]).unwrap();
    f.error(__NR_select, &[5000, 0, OUT, 0, now], Errno::EBADF);
}
