//! What modules may name: vmx and svm not each other, devices and syscalls no exits and no vendor, `unsafe` only where the
//! machine is touched.

use proc_macro2::Ident;
use syn::visit::Visit;

use super::source::Source;
use super::words::words;
use super::{Finding, is_in};

/// Where `unsafe` is allowed.
const UNSAFE: [&str; 3] = ["hv/cpu", "hv/boot", "guest"];

/// Modules of vmm that decide nothing about exits, and what they must not name.
const PLAIN: [&str; 2] = ["device", "syscall"];
const NOT_FOR_PLAIN: [[&str; 2]; 4] = [
    ["crate", "exit"],
    ["crate", "nested"],
    ["spec", "vmx"],
    ["spec", "svm"],
];

pub(super) fn check(source: &Source, findings: &mut Vec<Finding>) {
    vendors(source, findings);
    unsafe_code(source, findings);
    if PLAIN.iter().any(|m| {
        is_in(&source.path, &format!("hv/vmm/src/{m}"))
            || source.path == format!("hv/vmm/src/{m}.rs")
    }) {
        plain(source, findings);
    }
}

/// A file with `vmx` in its path (a folder, `vmx.rs`, `from_vmx.rs`) does not name `svm`, and the other way round.
fn vendors(source: &Source, findings: &mut Vec<Finding>) {
    if !is_in(&source.path, "hv") {
        return;
    }
    let of_path: Vec<String> = source.path.split(['/', '.']).flat_map(words).collect();
    for (own, other) in [("vmx", "svm"), ("svm", "vmx")] {
        if !of_path.iter().any(|w| w == own) || of_path.iter().any(|w| w == other) {
            continue;
        }
        for (name, line) in source.identifiers() {
            if words(&name).iter().any(|w| w == other) {
                let what = format!(
                    "`{name}`: {own} code names {other} (design, section 2: siblings do not know each other)"
                );
                push(
                    source,
                    findings,
                    line,
                    what,
                    "put what both need into a neutral module, or choose the engine above both",
                );
            }
        }
    }
}

fn unsafe_code(source: &Source, findings: &mut Vec<Finding>) {
    if UNSAFE.iter().any(|folder| is_in(&source.path, folder)) {
        return;
    }
    for (name, line) in source.all_identifiers() {
        if name == "unsafe" {
            let what = "`unsafe` outside of hv/cpu, hv/boot and guest (design, rule 5)".to_owned();
            push(
                source,
                findings,
                line,
                what,
                "move what touches the machine to hv/cpu behind a safe interface",
            );
        }
    }
}

fn plain(source: &Source, findings: &mut Vec<Finding>) {
    let mut paths = Paths {
        module: module_of(&source.path),
        found: Vec::new(),
    };
    paths.visit_file(&source.file);
    for (path, line) in paths.found {
        if NOT_FOR_PLAIN.iter().any(|[a, b]| {
            path.first().is_some_and(|p| p == a) && path.get(1).is_some_and(|p| p == b)
        }) {
            let what = format!(
                "`{}`: device and syscall know no exit, no nesting, no vendor (design, section 2)",
                path.join("::")
            );
            push(
                source,
                findings,
                line,
                what,
                "take what is needed as an argument, or return what the caller then does",
            );
        }
    }
}

fn push(source: &Source, findings: &mut Vec<Finding>, line: usize, what: String, fix: &str) {
    findings.push(Finding {
        path: source.path.clone(),
        line,
        what,
        fix: fix.to_owned(),
    });
}

/// `hv/vmm/src/device/uart.rs` -> device, uart.
fn module_of(path: &str) -> Vec<String> {
    let inside = path.split_once("/src/").map_or(path, |(_, inside)| inside);
    let parts = inside.trim_end_matches(".rs").split('/');
    parts
        .filter(|part| !matches!(*part, "mod" | "lib" | "main"))
        .map(str::to_owned)
        .collect()
}

/// Every path of a file, from the crate's root.
struct Paths {
    module: Vec<String>,
    found: Vec<(Vec<String>, usize)>,
}

impl Paths {
    fn add(&mut self, names: &[&Ident]) {
        let Some(first) = names.first() else { return };
        let line = first.span().start().line;
        let mut names: Vec<String> = names.iter().map(|n| n.to_string()).collect();
        if matches!(names[0].as_str(), "self" | "super") {
            names = self.absolute(&names);
        }
        self.found.push((names, line));
    }

    fn absolute(&self, names: &[String]) -> Vec<String> {
        let up = names.iter().filter(|n| *n == "super").count();
        let kept = self.module.len().saturating_sub(up);
        let below = names
            .iter()
            .filter(|n| !matches!(n.as_str(), "self" | "super"));
        ["crate".to_owned()]
            .iter()
            .chain(&self.module[..kept])
            .chain(below)
            .cloned()
            .collect()
    }

    fn tree<'a>(&mut self, tree: &'a syn::UseTree, above: &mut Vec<&'a Ident>) {
        match tree {
            syn::UseTree::Path(path) => {
                above.push(&path.ident);
                self.tree(&path.tree, above);
                above.pop();
            }
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.tree(tree, above))
            }
            syn::UseTree::Name(syn::UseName { ident })
            | syn::UseTree::Rename(syn::UseRename { ident, .. }) => {
                above.push(ident);
                self.add(above);
                above.pop();
            }
            syn::UseTree::Glob(_) => self.add(above),
        }
    }
}

impl<'a> Visit<'a> for Paths {
    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        self.tree(&item.tree, &mut Vec::new());
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let names: Vec<&Ident> = path.segments.iter().map(|s| &s.ident).collect();
        self.add(&names);
        syn::visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, item: &'a syn::ItemMod) {
        self.module.push(item.ident.to_string());
        syn::visit::visit_item_mod(self, item);
        self.module.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::source;
    use super::*;

    fn found(path: &str, text: &str) -> Vec<(usize, String)> {
        let mut findings = Vec::new();
        check(&source(path, text), &mut findings);
        findings
            .iter()
            .map(|f| (f.line, f.what.split('`').nth(1).unwrap().to_owned()))
            .collect()
    }

    #[test]
    fn vmx_does_not_name_svm() {
        let text = "use crate::svm::run;\nfn f() {}";
        assert_eq!(found("hv/cpu/src/vmx/run.rs", text), [(1, "svm".into())]);
        assert_eq!(
            found("hv/vmm/src/exit/from_vmx.rs", text),
            [(1, "svm".into())]
        );
        assert_eq!(found("hv/cpu/src/engine.rs", text), []);
        assert_eq!(
            found(
                "hv/vmm/src/nested/svm/check.rs",
                "fn f() { vmx_check(EFER_SVME) }"
            ),
            [(1, "vmx_check".into())]
        );
    }

    #[test]
    fn tests_may_compare_vmx_and_svm() {
        assert_eq!(
            found(
                "hv/cpu/src/vmx/run.rs",
                "#[cfg(test)]\nmod tests { use crate::svm::run; }"
            ),
            []
        );
    }

    #[test]
    fn devices_know_no_exits() {
        assert_eq!(
            found("hv/vmm/src/device/uart.rs", "use crate::{bus, exit::Exit};"),
            [(1, "crate::exit::Exit".into())]
        );
        assert_eq!(
            found("hv/vmm/src/device/uart.rs", "use super::super::nested;"),
            [(1, "crate::nested".into())]
        );
        assert_eq!(
            found(
                "hv/vmm/src/syscall.rs",
                "fn f() -> spec::vmx::Reason { g() }"
            ),
            [(1, "spec::vmx::Reason".into())]
        );
        assert_eq!(
            found(
                "hv/vmm/src/syscall/file.rs",
                "fn exit(n: i32) { std::process::exit(n) }"
            ),
            []
        );
        assert_eq!(
            found("hv/vmm/src/guest/test.rs", "use crate::exit::Exit;"),
            []
        );
    }

    #[test]
    fn unsafe_only_where_the_machine_is_touched() {
        let text = "\nfn f() { unsafe { g() } }";
        assert_eq!(found("hv/vmm/src/run.rs", text), [(2, "unsafe".into())]);
        assert_eq!(found("xtask/src/main.rs", text), [(2, "unsafe".into())]);
        assert_eq!(found("hv/cpu/src/msr.rs", text), []);
        assert_eq!(found("guest/rt/src/lib.rs", text), []);
        assert_eq!(found("hv/vmm/src/lib.rs", "#![forbid(unsafe_code)]"), []);
    }
}
