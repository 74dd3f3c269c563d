//! The tree of files.

use super::*;

#[test]
fn the_tree_can_be_changed_and_listed() {
    let mut f = Fixture::new();
    let (d, a, b) = (f.text("/tmp/d"), f.text("/tmp/d/a"), f.text("/tmp/d/b"));
    assert_eq!(f.call(__NR_mkdir, &[d, 0o777]), 0);
    f.error(__NR_mkdir, &[d, 0o777], Errno::EEXIST);
    f.open("/tmp/d/a", O_CREAT);
    assert_eq!(f.call(__NR_link, &[a, b]), 0);
    assert_eq!(f.call(__NR_stat, &[d, OUT]), 0);
    let stat: [u8; 144] = f.out();
    assert_eq!(record::u32_at(&stat, 24), S_IFDIR | 0o755);
    assert_eq!(record::u64_at(&stat, 48), 80);
    f.error(__NR_rmdir, &[d], Errno::ENOTEMPTY);
    let fd = f.open("/tmp/d", O_DIRECTORY);
    assert_eq!(f.call(__NR_getdents64, &[fd, OUT, 1000]), 4 * 24);
    let listing: [u8; 96] = f.out();
    let names: Vec<u8> = listing.chunks(24).map(|entry| entry[19]).collect();
    assert_eq!(names, *b"..ba");
    assert_eq!(f.call(__NR_getdents64, &[fd, OUT, 1000]), 0);
    f.call(__NR_lseek, &[fd, 0, 0]);
    f.error(__NR_getdents64, &[fd, OUT, 20], Errno::EINVAL);
    assert_eq!(f.call(__NR_rename, &[a, b]), 0);
    assert_eq!(f.call(__NR_unlink, &[a]), 0);
    assert_eq!(f.call(__NR_chdir, &[d]), 0);
    assert_eq!(f.call(__NR_getcwd, &[OUT, 100]), 7);
    assert_eq!(f.out(), *b"/tmp/d\0");
    f.error(__NR_getcwd, &[OUT, 3], Errno::ERANGE);
    let relative = f.text("b");
    assert_eq!(f.call(__NR_unlinkat, &[AT_FDCWD as u64, relative, 0]), 0);
    f.error(__NR_access, &[b, 0], Errno::ENOENT);
    let (target, l) = (f.text("nowhere"), f.text("l"));
    assert_eq!(f.call(__NR_symlink, &[target, l]), 0);
    assert_eq!(f.call(__NR_readlink, &[l, OUT, 4]), 4);
    assert_eq!(f.out(), *b"nowh");
}
