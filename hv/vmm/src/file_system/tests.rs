use super::*;
use proptest::prelude::*;
use std::vec::Vec;

const NOW: Time = Time {
    seconds: 5,
    nanoseconds: 0,
};

fn system() -> FileSystem {
    FileSystem::new(1 << 20, NOW)
}

fn file(system: &mut FileSystem, path: &[u8]) -> Ino {
    let spot = system.walk(ROOT, path, true).unwrap();
    system.create_file(&spot, 0o644, NOW).unwrap()
}

fn directory(system: &mut FileSystem, path: &[u8]) -> Ino {
    let spot = system.walk(ROOT, path, true).unwrap();
    system.create_directory(&spot, 0o755, NOW).unwrap()
}

fn link(system: &mut FileSystem, path: &[u8], target: &[u8]) {
    let spot = system.walk(ROOT, path, false).unwrap();
    system.create_link(&spot, target, NOW).unwrap();
}

#[test]
fn sizes_and_link_counts_are_those_of_tmpfs() {
    let mut system = system();
    let a = directory(&mut system, b"/a");
    directory(&mut system, b"/a/b/");
    file(&mut system, b"/a/f");
    let inode = system.inode(a).unwrap();
    assert_eq!((inode.size(), inode.links, inode.blocks()), (80, 3, 0));
    assert_eq!(system.inode(ROOT).unwrap().links, 3);
}

#[test]
fn listing_is_newest_first_and_survives_removal() {
    let mut system = system();
    for name in [b"/x", b"/y", b"/z"] {
        file(&mut system, name);
    }
    let root = system.directory(ROOT).unwrap();
    assert_eq!(root.at(0, ROOT).unwrap().0, b".");
    assert_eq!(root.at(1, ROOT).unwrap().0, b"..");
    let (name, _, next) = root.at(2, ROOT).unwrap();
    assert_eq!(name, b"z");
    let spot = system.walk(ROOT, b"/z", false).unwrap();
    system.unlink(&spot, NOW).unwrap();
    let root = system.directory(ROOT).unwrap();
    let (name, _, next) = root.at(next, ROOT).unwrap();
    assert_eq!(name, b"y");
    assert_eq!(root.at(next, ROOT).unwrap().0, b"x");
}

#[test]
fn links_are_followed_but_not_for_ever() {
    let mut system = system();
    directory(&mut system, b"/d");
    let f = file(&mut system, b"/d/f");
    link(&mut system, b"/l", b"d");
    link(&mut system, b"/d/up", b"../l/f");
    link(&mut system, b"/loop", b"loop");
    assert_eq!(system.resolve(ROOT, b"l/up", true), Ok(f));
    assert_eq!(system.resolve(ROOT, b"//l/./../d//f", true), Ok(f));
    assert_eq!(system.resolve(ROOT, b"/loop", true), Err(Errno::ELOOP));
    assert!(system.resolve(ROOT, b"/loop", false).is_ok());
    assert_eq!(system.resolve(ROOT, b"/d/f/", true), Err(Errno::ENOTDIR));
    assert_eq!(system.resolve(ROOT, b"/d/f/g", true), Err(Errno::ENOTDIR));
    assert_eq!(system.resolve(ROOT, b"", true), Err(Errno::ENOENT));
    assert_eq!(system.resolve(ROOT, b"/", true), Ok(ROOT));
    assert_eq!(system.resolve(ROOT, b"/../..", true), Ok(ROOT));
    assert_eq!(
        system.resolve(ROOT, &[b'a'; 256], true),
        Err(Errno::ENAMETOOLONG)
    );
    assert_eq!(
        system.resolve(ROOT, &[b'/'; 4096], true),
        Err(Errno::ENAMETOOLONG)
    );
}

#[test]
fn a_dangling_link_is_created_through() {
    let mut system = system();
    link(&mut system, b"/l", b"new");
    let f = file(&mut system, b"/l");
    assert_eq!(system.resolve(ROOT, b"/new", false), Ok(f));
}

#[test]
fn devices_are_hidden_and_need_dev() {
    let mut system = system();
    assert_eq!(system.resolve(ROOT, b"/dev/null", true), Err(Errno::ENOENT));
    let dev = directory(&mut system, b"/dev");
    assert!(system.resolve(ROOT, b"/dev/null", true).is_ok());
    assert_eq!(system.resolve(ROOT, b"/null", true), Err(Errno::ENOENT));
    assert!(system.directory(dev).unwrap().at(2, dev).is_none());
}

#[test]
fn an_unlinked_file_lives_while_it_is_open() {
    let mut system = system();
    let free = system.budget.free;
    let f = file(&mut system, b"/f");
    system.open(f);
    let (contents, budget) = system.contents_mut(f).unwrap();
    contents.write(0, b"hello", budget).unwrap();
    let spot = system.walk(ROOT, b"/f", false).unwrap();
    system.unlink(&spot, NOW).unwrap();
    assert_eq!(system.contents(f).unwrap().chunk(0, 9), b"hello");
    system.close(f);
    assert!(system.inode(f).is_err());
    assert_eq!(system.budget.free, free);
}

#[test]
fn a_directory_does_not_move_into_itself() {
    let mut system = system();
    directory(&mut system, b"/a");
    directory(&mut system, b"/a/b");
    let from = system.walk(ROOT, b"/a", false).unwrap();
    let to = system.walk(ROOT, b"/a/b/c", false).unwrap();
    assert_eq!(system.rename(&from, &to, true, NOW), Err(Errno::EINVAL));
    let spot = system.walk(ROOT, b"/a/b", false).unwrap();
    assert_eq!(
        system
            .path_of(system.resolve(ROOT, b"/a/b", true).unwrap())
            .unwrap(),
        b"/a/b"
    );
    system.remove_directory(&spot, NOW).unwrap();
    assert_eq!(system.remove_directory(&spot, NOW), Err(Errno::ENOENT));
}

proptest! {
    /// Whatever is done, links count names, parents are right and nothing leaks.
    #[test]
    fn stays_a_tree(steps in prop::collection::vec((0u8..6, 0usize..12, 0usize..12), 1..80)) {
        let mut system = system();
        let free = system.budget.free;
        let path = |n: usize| -> Vec<u8> {
            let names = ["a", "b", "c", "a/a", "a/b", "b/a", "b/c", "c/a", "a/a/a", "a/a/b", "b/a/c", "."];
            names[n].as_bytes().to_vec()
        };
        for (what, x, y) in steps {
            let (Ok(x), Ok(y)) = (system.walk(ROOT, &path(x), false), system.walk(ROOT, &path(y), false)) else { continue };
            let _ = match what {
                0 => system.create_directory(&x, 0o755, NOW).map(|_| ()),
                1 => system.create_file(&x, 0o755, NOW).map(|_| ()),
                2 => system.unlink(&x, NOW),
                3 => system.remove_directory(&x, NOW),
                4 => system.rename(&x, &y, true, NOW),
                _ => system.entry(&x).and_then(|i| i.ok_or(Errno::ENOENT)).and_then(|i| system.link(i, &y, NOW)),
            };
        }
        let reachable = system.reachable();
        let hidden = HIDDEN.len();
        prop_assert_eq!(reachable.len() + hidden, system.inodes.len());
        let mut names = std::collections::BTreeMap::new();
        for &ino in &reachable {
            let Ok(directory) = system.directory(ino) else { continue };
            let mut position = 2;
            while let Some((_, child, next)) = directory.at(position, ino) {
                position = next;
                *names.entry(child).or_insert(0u32) += 1;
                if let Ok(inner) = system.directory(child) { prop_assert_eq!(inner.parent, ino); }
            }
        }
        let mut extra = 0;
        for (ino, count) in names {
            let inode = system.inode(ino).unwrap();
            if inode.is_directory() { prop_assert_eq!(count, 1); } else {
                prop_assert_eq!(inode.links, count);
                extra += count - 1;
            }
        }
        let paid = u64::from(extra) * NAME_COST + (reachable.len() as u64 - 1) * INODE_COST;
        prop_assert_eq!(system.budget.free + paid, free);
    }
}
