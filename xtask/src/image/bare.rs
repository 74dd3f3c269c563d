//! The menu by which GRUB starts a guest's kernel itself, as the reference that guests are compared with.

use std::fs;

use anyhow::{Context, Result, bail, ensure};

use super::grub_words;
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
    let one = || format!("multiboot {start}{}", load("module", "module"));
    let two = || format!("multiboot2 {start}{}", load("module2", "module"));
    match guest.kind() {
        "linux" => {
            ensure!(
                guest.option("disk").is_none(),
                "--bare: a bare machine has no `disk=`"
            );
            Ok(format!("linux {start}{}", load("initrd", "initrd")))
        }
        "multiboot" => Ok(match guest.option("protocol") {
            Some("1") => one(),
            Some("2") => two(),
            _ => format!("if {}\n    then true\n    else {}\n    fi", two(), one()),
        }),
        kind => bail!("--bare: GRUB starts `linux:` and `multiboot:` guests, not `{kind}:`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::Contents;

    fn made(spec: &str, words: &[&str]) -> Result<String> {
        let kernel = Module {
            name: "1-k".into(),
            contents: Contents::Bytes(Vec::new()),
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
        let text = made("multiboot:k,module=a,module=b", &words).unwrap();
        assert!(
            text.contains("\n    module '/boot/modules/module1' 'a' '' 'b'\n    module '/boot/modules/module2'\n"),
            "{text}"
        );
    }

    #[test]
    fn what_a_bare_machine_has_not_is_refused() {
        assert!(made("linux:k,disk=d", &["linux:k,disk=disk1"]).is_err());
        assert!(made("app:k", &["app:k"]).is_err());
        let two = ["test:a", "test:b"].map(|spec| Guest::parse(spec).unwrap());
        assert!(menu(&two, &[]).is_err());
    }
}
