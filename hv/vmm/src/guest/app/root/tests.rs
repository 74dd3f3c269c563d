use super::*;
use crate::guest::cpio::tests::add;

fn unpacked(fill: impl Fn(&mut Vec<u8>)) -> Result<FileSystem, LoadError> {
    let mut archive = Vec::new();
    fill(&mut archive);
    add(&mut archive, "TRAILER!!!", 0, 0, 1, b"");
    let mut files = FileSystem::new(1 << 20, Time::default());
    unpack(&mut files, archive.leak(), Time::default()).map(|()| files)
}

#[test]
fn a_tree_comes_out_as_it_went_in() {
    let files = unpacked(|to| {
        add(to, ".", 0o40700, 1, 3, b"");
        add(to, "bin", 0o40755, 2, 2, b"");
        add(to, "bin/a", 0o100755, 3, 2, b"");
        add(to, "bin/b", 0o100755, 3, 2, b"program");
        add(to, "bin/sh", 0o120777, 4, 1, b"a");
        add(to, "./etc/deep/file", 0o100600, 5, 1, b"x");
    })
    .unwrap();
    let a = files.resolve(ROOT, b"/bin/sh", true).unwrap();
    assert_eq!(
        files.contents(a).unwrap().as_borrowed(),
        Some(&b"program"[..])
    );
    assert_eq!(files.inode(a).unwrap().links, 2);
    assert_eq!(files.resolve(ROOT, b"/bin/b", true), Ok(a));
    let bin = files
        .inode(files.resolve(ROOT, b"/bin", true).unwrap())
        .unwrap();
    assert_eq!(bin.modified.seconds, 1_000_000_000);
    assert_eq!(files.inode(ROOT).unwrap().mode, 0o40700);
    assert!(files.resolve(ROOT, b"/etc/deep/file", true).is_ok());
}

#[test]
fn archives_that_contradict_themselves_are_refused() {
    let twice = unpacked(|to| {
        add(to, "a", 0o100644, 1, 1, b"x");
        add(to, "a", 0o100644, 2, 1, b"y");
    });
    assert_eq!(
        twice.err(),
        Some(LoadError::File("a".into(), Errno::EEXIST))
    );
    let below_a_file = unpacked(|to| {
        add(to, "a", 0o100644, 1, 1, b"x");
        add(to, "a/b", 0o100644, 2, 1, b"y");
    });
    assert_eq!(
        below_a_file.err(),
        Some(LoadError::File("a/b".into(), Errno::ENOTDIR))
    );
    let no_type = unpacked(|to| add(to, "a", 0o644, 1, 1, b"x"));
    assert_eq!(
        no_type.err(),
        Some(LoadError::File("a".into(), Errno::EINVAL))
    );
}

#[test]
fn only_names_of_files_share_their_bytes() {
    let files = unpacked(|to| {
        add(to, "a", 0o120777, 1, 2, b"target");
        add(to, "b", 0o120777, 1, 2, b"target");
        add(to, "target", 0o100644, 2, 1, b"bytes");
    })
    .unwrap();
    let link = files.resolve(ROOT, b"/b", false).unwrap();
    assert_eq!(files.resolve(ROOT, b"/a", false), Ok(link));
    let inode = files.inode(link).unwrap();
    assert!(matches!(&inode.kind, Kind::Link(to) if to == b"target"));
    assert_eq!(
        files.resolve(ROOT, b"/b", true),
        files.resolve(ROOT, b"/target", true)
    );
    let two_types = unpacked(|to| {
        add(to, "a", 0o100644, 1, 2, b"");
        add(to, "b", 0o120777, 1, 2, b"a");
    });
    assert_eq!(
        two_types.err(),
        Some(LoadError::File("b".into(), Errno::EINVAL))
    );
}

#[test]
fn absolute_names_are_names_below_the_root() {
    let files = unpacked(|to| {
        add(to, "/bin", 0o40755, 1, 2, b"");
        add(to, "/bin/a", 0o100755, 2, 1, b"program");
    })
    .unwrap();
    assert!(files.resolve(ROOT, b"/bin/a", true).is_ok());
}

#[test]
fn a_program_alone_may_lie_anywhere() {
    for path in ["/bin/a", "/tmp/a", "/dev/shm/x/a", "/a"] {
        let mut files = FileSystem::new(1 << 20, Time::default());
        only(&mut files, path.as_bytes(), b"program", Time::default()).unwrap();
        for path in [path, "/tmp", "/dev"] {
            assert!(files.resolve(ROOT, path.as_bytes(), true).is_ok(), "{path}");
        }
    }
    let mut files = FileSystem::new(1 << 20, Time::default());
    let error = only(&mut files, b"/tmp", b"program", Time::default()).unwrap_err();
    assert_eq!(error, LoadError::File("/tmp".into(), Errno::EEXIST));
    assert_eq!(
        std::format!("{error}"),
        "/tmp cannot be made in its file system: EEXIST"
    );
}
