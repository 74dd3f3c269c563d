use super::*;

fn made(specs: &[String]) -> Result<Vec<Module>> {
    let guests = specs.iter().map(|spec| Guest::parse(spec));
    modules(&guests.collect::<Result<Vec<_>>>().unwrap())
}

fn names(modules: &[Module]) -> Vec<&str> {
    modules.iter().map(|module| &*module.name).collect()
}

#[test]
fn one_module_carries_a_root_of_two_guests() {
    let top = tempfile::tempdir().unwrap();
    fs::write(top.path().join("prog"), b"elf").unwrap();
    let spec = format!("app:/prog,root={} 1", top.path().display());
    let modules = made(&[spec.clone(), spec]).unwrap();
    assert_eq!(names(&modules), ["1-prog", "2-prog", "root1"]);
    assert_eq!(modules[1].words, ["app:/prog,root=root1", "1"]);
    assert_eq!(modules[1].contents, Contents::Bytes(b"elf".to_vec()));
    assert_eq!(modules[2].words, ["file:root1"]);
}

#[test]
fn a_missing_file_is_named() {
    let error = made(&["app:/no/such".into()]).unwrap_err();
    let text = format!("{error:#}");
    assert!(
        text.starts_with("guest 1: /no/such: No such file"),
        "{text}"
    );
    let error = made(&["linux:/no/such".into()]).unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("`linux:debian`"), "{text}");
    let error = made(&["multiboot:/bin/busybox,module=/no/such".into()]).unwrap_err();
    let text = format!("{error:#}");
    assert!(
        text.starts_with("guest 1: module=/no/such: No such"),
        "{text}"
    );
}

#[test]
fn files_of_a_kernel_are_modules_in_order() {
    let top = tempfile::tempdir().unwrap();
    let file = |name: &str| {
        let path = top.path().join(name);
        fs::write(&path, name).unwrap();
        path.display().to_string()
    };
    let (kernel, one, two) = (file("kernel"), file("one"), file("two"));
    let modules = made(&[
        format!("'multiboot:{kernel},module={one},module={two} x  y,module={one}' a b"),
        format!("linux:{kernel},initrd={one},initrd={two},disk={one},cpus=2 quiet"),
        format!("linux:{kernel},initrd={one}"),
        format!("linux:{kernel},disk={one}:ro,disk={two}"),
    ])
    .unwrap();
    assert_eq!(
        names(&modules)[4..],
        ["module1", "module2", "disk1", "initrd1", "initrd2", "disk2"]
    );
    let expected = format!("multiboot:{kernel},module=module1,module=module2 x  y,module=module1");
    assert_eq!(modules[0].words, [&expected, "a", "b"]);
    let expected = format!("linux:{kernel},disk=disk1,cpus=2,initrd=initrd1");
    assert_eq!(modules[1].words, [&expected, "quiet"]);
    let expected = format!("linux:{kernel},disk=disk1:ro,disk=disk2");
    assert_eq!(modules[3].words, [expected]);
    assert_eq!(modules[7].contents, Contents::Bytes(b"one\0two".to_vec()));
    assert_eq!(modules[8].contents, Contents::File(one.into()));
    let unpacked: Vec<bool> = modules.iter().map(|module| module.unpack).collect();
    assert_eq!(
        unpacked,
        [
            true, false, false, false, true, true, false, false, false, false
        ]
    );
}

#[test]
fn debians_linux_is_told_of_the_serial_port() {
    let words = |spec| words(&Guest::parse(spec).unwrap(), &[]);
    assert_eq!(
        words("linux:debian quiet"),
        ["linux:debian", "console=ttyS0", "panic=-1", "quiet"]
    );
    assert_eq!(
        words("linux:debian panic=9 console=tty0"),
        ["linux:debian", "panic=9", "console=tty0"]
    );
    assert_eq!(words("linux:./debian quiet"), ["linux:./debian", "quiet"]);
}
