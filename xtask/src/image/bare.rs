//! The menu by which GRUB starts a guest's kernel itself, as the reference that guests are compared with.

use std::fs;

use anyhow::{Context, Result, bail, ensure};

use super::{grub_words, multiboot};
use crate::guest::{Guest, Module};

const BARE_CFG: &str = "grub/bare.cfg";

/// GRUB's configuration for this only guest and its modules.
pub(super) fn menu(guests: &[Guest], modules: &[Module]) -> Result<String> {
    let ([guest], [kernel, ..]) = (guests, modules) else {
        bail!("--bare takes one guest");
    };
    let template = fs::read_to_string(BARE_CFG).context(BARE_CFG)?;
    Ok(template
        .replace("@NAME@", &kernel.name)
        .replace("@COMMANDS@", &commands(guest, kernel)?))
}

fn commands(guest: &Guest, kernel: &Module) -> Result<String> {
    let start = format!(
        "/boot/modules/{} {}",
        kernel.name,
        grub_words(&kernel.words[1..])
    );
    // The first word names the modules of the guest's files.
    let load = |command: &str, option: &str| {
        let options = kernel.words[0].split(',').skip(1);
        let files = options.filter_map(|text| text.strip_prefix(option)?.strip_prefix('='));
        let line = |file: &str| {
            let mut words: Vec<String> = file.split(' ').map(str::to_owned).collect();
            words[0].insert_str(0, "/boot/modules/");
            format!("\n    {command} {}", grub_words(&words))
        };
        files.map(line).collect::<String>()
    };
    match guest.kind() {
        "linux" => {
            ensure!(
                guest.option("disk").is_none(),
                "--bare: a bare machine has no `disk=`"
            );
            Ok(format!("linux {start}{}", load("initrd", "initrd")))
        }
        "multiboot" => {
            let version = match guest.option("protocol") {
                Some(version) => version,
                None => multiboot::version(&kernel.contents)
                    .with_context(|| format!("--bare: {}", guest.path()))?,
            };
            let number = if version == "1" { "" } else { "2" };
            let modules = load(&format!("module{number}"), "module");
            Ok(format!("multiboot{number} {start}{modules}"))
        }
        kind => bail!("--bare: GRUB starts `linux:` and `multiboot:` guests, not `{kind}:`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::Contents;

    /// The header of a Multiboot 1 kernel.
    const ONE: &[u8] = b"\x02\xb0\xad\x1b\0\0\0\0\xfe\x4f\x52\xe4";

    fn made(spec: &str, words: &[&str]) -> Result<String> {
        let kernel = Module {
            name: "1-k".into(),
            contents: Contents::Bytes(ONE.into()),
            words: words.iter().map(|&word| word.to_owned()).collect(),
            unpack: false,
        };
        commands(&Guest::parse(spec).unwrap(), &kernel)
    }

    #[test]
    fn a_kernel_is_started_with_its_files() {
        let words = ["linux:k,cpus=2,initrd=initrd1", "a b"];
        assert_eq!(
            made("linux:k,initrd=i,cpus=2 'a b'", &words).unwrap(),
            "linux /boot/modules/1-k 'a b'\n    initrd '/boot/modules/initrd1'"
        );
        let words = ["multiboot:k,module=module1 a  b,module=module2"];
        let modules = |n: &str| {
            format!(
                "\n    module{n} '/boot/modules/module1' 'a' '' 'b'\n    module{n} '/boot/modules/module2'"
            )
        };
        for (option, n) in [("", ""), (",protocol=1", ""), (",protocol=2", "2")] {
            let text = made(&format!("multiboot:k,module=a,module=b{option}"), &words).unwrap();
            let want = format!("multiboot{n} /boot/modules/1-k {}", modules(n));
            assert_eq!(text, want);
        }
    }

    #[test]
    fn what_a_bare_machine_has_not_is_refused() {
        assert!(made("linux:k,disk=d", &["linux:k,disk=disk1"]).is_err());
        assert!(made("app:k", &["app:k"]).is_err());
        let two = ["test:a", "test:b"].map(|spec| Guest::parse(spec).unwrap());
        assert!(menu(&two, &[]).is_err());
    }
}
