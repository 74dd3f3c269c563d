//! mmap and its like.

use super::*;
use spec::addr::PAGE_SIZE;

const PRIVATE: u64 = MAP_PRIVATE as u64;
const READ_WRITE: u64 = (PROT_READ | PROT_WRITE) as u64;

/// Two files with the same bytes, a page and some: one of the archive, one that was written.
fn alike(f: &mut Fixture) -> [u64; 2] {
    let bytes: &'static [u8] = &[b'f'; 5000];
    let borrowed = f.open("/tmp/borrowed", O_CREAT | O_RDWR);
    let written = f.open("/tmp/written", O_CREAT | O_RDWR);
    f.write(written, bytes);
    let ino = f
        .system
        .files
        .resolve(ROOT, b"/tmp/borrowed", true)
        .unwrap();
    f.system.files.inode_mut(ino).unwrap().kind = Kind::File(Contents::borrowed(bytes));
    [borrowed, written]
}

#[test]
fn files_are_mapped_alike_wherever_their_bytes_are() {
    let mut f = Fixture::new();
    for fd in alike(&mut f) {
        let map = |f: &mut Fixture, length, offset| {
            f.call(__NR_mmap, &[0, length, READ_WRITE, PRIVATE, fd, offset]) as u64
        };
        // The last page of the mapping is there whole, zeros follow the file, then comes nothing.
        let at = map(&mut f, 10, 0);
        assert_eq!(f.process.memory.read_array(at + 4094), Ok([b'f'; 2]));
        let at = map(&mut f, 3 * PAGE_SIZE, 0);
        assert_eq!(f.process.memory.read_array(at + 4998), Ok([b'f', b'f', 0]));
        let fault = |f: &mut Fixture, at| f.process.memory.fault(at, Access::Read);
        assert_eq!(fault(&mut f, at + 2 * PAGE_SIZE), Err(Fault::Bus));
        let behind = map(&mut f, PAGE_SIZE, 2 * PAGE_SIZE);
        assert_eq!(fault(&mut f, behind), Err(Fault::Bus));
        // Given up, the bytes are still the file's.
        let advice = MADV_DONTNEED.into();
        assert_eq!(f.call(__NR_madvise, &[at, 3 * PAGE_SIZE, advice]), 0);
        assert_eq!(f.process.memory.read_array(at + 4998), Ok([b'f', b'f', 0]));
        // Moved, too.
        let to = f.call(__NR_mremap, &[at + PAGE_SIZE, PAGE_SIZE, 3 * PAGE_SIZE, 1]) as u64;
        assert_eq!(f.process.memory.read_array(to + 902), Ok([b'f', b'f', 0]));
        assert_eq!(fault(&mut f, to + PAGE_SIZE), Err(Fault::Bus));
        assert_eq!(
            f.process.memory.read_u64(at + PAGE_SIZE),
            Err(Errno::EFAULT)
        );
    }
}

#[test]
fn a_file_that_does_not_fit_leaves_nothing_behind() {
    let mut f = Fixture::new();
    let [_, fd] = alike(&mut f);
    assert_eq!(f.call(__NR_ftruncate, &[fd, 1 << 30]), 0);
    let free = f.process.memory.free_bytes();
    for protection in [0, READ_WRITE] {
        let place = [
            0x10_0000_0000,
            1 << 30,
            protection,
            PRIVATE | u64::from(MAP_FIXED),
            fd,
            0,
        ];
        f.error(__NR_mmap, &place, Errno::ENOMEM);
        f.error(__NR_msync, &[place[0], PAGE_SIZE, 0], Errno::ENOMEM);
    }
    assert_eq!(f.process.memory.free_bytes(), free);
}

#[test]
fn only_advice_that_is_known_is_taken() {
    let mut f = Fixture::new();
    let anonymous = PRIVATE | u64::from(MAP_ANONYMOUS);
    let at = f.call(__NR_mmap, &[0, 2 * PAGE_SIZE, READ_WRITE, anonymous, 0, 0]) as u64;
    for advice in [
        MADV_NORMAL,
        MADV_WILLNEED,
        MADV_HUGEPAGE,
        MADV_COLD,
        MADV_DONTNEED,
        MADV_FREE,
    ] {
        let advice = advice.into();
        assert_eq!(f.call(__NR_madvise, &[at, PAGE_SIZE, advice]), 0);
        assert_eq!(f.call(__NR_madvise, &[at, 0, advice]), 0);
        f.error(__NR_madvise, &[at + 1, PAGE_SIZE, advice], Errno::EINVAL);
        f.error(__NR_madvise, &[at, 3 * PAGE_SIZE, advice], Errno::ENOMEM);
    }
    for advice in [
        5,
        7,
        MADV_REMOVE,
        MADV_POPULATE_READ,
        MADV_POPULATE_WRITE,
        MADV_COLLAPSE,
        9999,
    ] {
        f.error(__NR_madvise, &[at, PAGE_SIZE, advice.into()], Errno::EINVAL);
    }
}

#[test]
fn only_protections_that_are_known_are_given() {
    let mut f = Fixture::new();
    let anonymous = PRIVATE | u64::from(MAP_ANONYMOUS);
    let at = f.call(__NR_mmap, &[0, 2 * PAGE_SIZE, READ_WRITE, anonymous, 0, 0]) as u64;
    let read = u64::from(PROT_READ);
    for unknown in [
        0x10,
        0x100,
        1 << 40,
        PROT_GROWSUP.into(),
        PROT_GROWSDOWN.into(),
    ] {
        f.error(
            __NR_mprotect,
            &[at, PAGE_SIZE, read | unknown],
            Errno::EINVAL,
        );
        assert_eq!(f.process.memory.write(at, b"x"), Ok(()));
        assert_eq!(f.call(__NR_mprotect, &[at, 0, read | unknown]), 0);
    }
    assert_eq!(
        f.call(__NR_mprotect, &[at, PAGE_SIZE, read | u64::from(PROT_SEM)]),
        0
    );
    assert_eq!(f.process.memory.write(at, b"x"), Err(Errno::EFAULT));
    // The stack is protected down to where it begins.
    let top = 0x7fff_ffff_e000;
    f.process.memory.map_stack(top, 4 * PAGE_SIZE).unwrap();
    let bits = read | u64::from(PROT_GROWSDOWN);
    assert_eq!(
        f.call(__NR_mprotect, &[top - PAGE_SIZE, PAGE_SIZE, bits]),
        0
    );
    assert_eq!(
        f.process.memory.write(top - 4 * PAGE_SIZE, b"x"),
        Err(Errno::EFAULT)
    );
}

#[test]
fn memory_is_mapped_and_files_into_it() {
    let mut f = Fixture::new();
    let (rw, anonymous) = (3, u64::from(MAP_PRIVATE | MAP_ANONYMOUS));
    let at = f.call(__NR_mmap, &[0, 8192, rw, anonymous, u64::MAX, 0]) as u64;
    f.process.memory.write(at, b"x").unwrap();
    assert_eq!(f.call(__NR_munmap, &[at, 8192]), 0);
    let fd = f.open("/tmp/f", O_CREAT | O_RDWR);
    f.write(fd, &[b'f'; 6000]);
    let at = f.call(__NR_mmap, &[0, 8192, 1, MAP_SHARED.into(), fd, 4096]) as u64;
    assert_eq!(f.process.memory.read_array(at + 1903).unwrap(), [b'f', 0]);
    f.error(
        __NR_mmap,
        &[0, 8192, 3, MAP_SHARED.into(), fd, 0],
        Errno::ENODEV,
    );
    f.error(__NR_mmap, &[0, 0, rw, anonymous, 0, 0], Errno::EINVAL);
    f.error(__NR_mmap, &[0, 1 << 40, rw, anonymous, 0, 0], Errno::ENOMEM);
    f.process.memory.set_brk_start(0x80_0000);
    assert_eq!(f.call(__NR_brk, &[0]), 0x80_0000);
    assert_eq!(f.call(__NR_brk, &[0x80_5000]), 0x80_5000);
}
