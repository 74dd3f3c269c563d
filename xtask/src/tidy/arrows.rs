//! Which crate may use which: `boot -> cpu -> vmm -> spec`, and `abi` for vmm and the guests.

use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand};

use super::{Finding, is_in};

/// A crate of the workspace.
#[derive(Default)]
pub(super) struct Package {
    name: String,
    /// Its folder, from the workspace's root.
    folder: String,
    /// What it uses at build time and run time; dev-dependencies do not count.
    uses: Vec<String>,
}

/// Our crates: name, folder, and which of ours each may use. guest/* is a rule of its own.
const CRATES: [(&str, &str, &[&str]); 6] = [
    ("spec", "hv/spec", &[]),
    ("abi", "hv/abi", &[]),
    ("vmm", "hv/vmm", &["spec", "abi"]),
    ("cpu", "hv/cpu", &["spec", "vmm"]),
    ("nestling", "hv/boot", &["spec", "vmm", "cpu"]),
    ("xtask", "xtask", &[]),
];

/// What of ours a guest may use, other guest crates apart.
const OF_GUESTS: [&str; 1] = ["abi"];

/// What of others `spec` may use.
const OF_SPEC: [&str; 1] = ["bitflags"];

/// The workspace's crates, from `cargo metadata`.
pub(super) fn packages(root: &Path) -> Result<Vec<Package>> {
    let metadata = MetadataCommand::new()
        .current_dir(root)
        .no_deps()
        .exec()
        .context("cargo metadata")?;
    Ok(metadata.packages.iter().map(|p| package(root, p)).collect())
}

fn package(root: &Path, package: &cargo_metadata::Package) -> Package {
    let folder = package
        .manifest_path
        .parent()
        .map_or("", |folder| folder.as_str());
    let folder = Path::new(folder)
        .strip_prefix(root)
        .unwrap_or(Path::new(folder));
    let counted = package
        .dependencies
        .iter()
        .filter(|d| d.kind != DependencyKind::Development);
    Package {
        name: package.name.to_string(),
        folder: folder.to_string_lossy().into_owned(),
        uses: counted.map(|d| d.name.clone()).collect(),
    }
}

/// Findings on every crate.
pub(super) fn check(packages: &[Package]) -> Vec<Finding> {
    packages
        .iter()
        .flat_map(|package| check_package(package, packages))
        .collect()
}

fn check_package(package: &Package, packages: &[Package]) -> Vec<Finding> {
    let row = CRATES.iter().find(|(name, _, _)| *name == package.name);
    let is_guest = is_in(&package.folder, "guest");
    if row.is_none() && !is_guest {
        let what = format!(
            "the crate {} is not in the design's section 2",
            package.name
        );
        return vec![finding(
            package,
            what,
            "give it its arrows in xtask/src/tidy/arrows.rs",
        )];
    }
    let ours = package
        .uses
        .iter()
        .filter_map(|used| packages.iter().find(|p| p.name == *used));
    let wrong = ours.filter(|used| match row {
        Some((_, _, allowed)) => !allowed.contains(&used.name.as_str()),
        None => !is_in(&used.folder, "guest") && !OF_GUESTS.contains(&used.name.as_str()),
    });
    let mut findings: Vec<Finding> = wrong.map(|used| wrong_arrow(package, &used.name)).collect();
    if package.name == "spec" {
        findings.extend(
            package
                .uses
                .iter()
                .filter(|u| !OF_SPEC.contains(&u.as_str()))
                .map(|u| wrong_arrow(package, u)),
        );
    }
    findings.sort();
    findings.dedup();
    findings
}

fn wrong_arrow(package: &Package, used: &str) -> Finding {
    let what = format!(
        "{} -> {used}: the arrows are boot -> cpu -> vmm -> spec; vmm and guests use abi; spec uses bitflags",
        package.name
    );
    finding(
        package,
        what,
        "remove the dependency, or move the code to the crate that may have it",
    )
}

fn finding(package: &Package, what: String, fix: &str) -> Finding {
    Finding {
        path: format!("{}/Cargo.toml", package.folder),
        line: 1,
        what,
        fix: fix.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crates(arrows: &[(&str, &str, &[&str])]) -> Vec<Package> {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        let package = |(name, folder, uses): &(&str, &str, &[&str])| Package {
            name: (*name).to_owned(),
            folder: (*folder).to_owned(),
            uses: owned(uses),
        };
        arrows.iter().map(package).collect()
    }

    fn names(findings: &[Finding]) -> Vec<String> {
        findings
            .iter()
            .map(|f| f.what.split(':').next().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn the_design_passes() {
        let tree = crates(&[
            ("spec", "hv/spec", &["bitflags"]),
            ("abi", "hv/abi", &[]),
            ("vmm", "hv/vmm", &["spec", "abi", "log"]),
            ("cpu", "hv/cpu", &["vmm", "spec", "x86"]),
            ("nestling", "hv/boot", &["cpu", "vmm", "spec"]),
            ("rt", "guest/rt", &["abi"]),
            ("l1-vmx", "guest/l1-vmx", &["rt", "x86"]),
        ]);
        assert_eq!(check(&tree), []);
    }

    #[test]
    fn each_wrong_arrow_is_found() {
        let tree = crates(&[
            ("spec", "hv/spec", &["log"]),
            ("vmm", "hv/vmm", &["cpu"]),
            ("cpu", "hv/cpu", &["nestling"]),
            ("nestling", "hv/boot", &["rt"]),
            ("rt", "guest/rt", &["spec"]),
        ]);
        assert_eq!(
            names(&check(&tree)),
            [
                "spec -> log",
                "vmm -> cpu",
                "cpu -> nestling",
                "nestling -> rt",
                "rt -> spec"
            ]
        );
    }

    #[test]
    fn a_crate_without_a_place_is_found() {
        let tree = crates(&[("glue", "hv/glue", &[])]);
        assert_eq!(
            names(&check(&tree)),
            ["the crate glue is not in the design's section 2"]
        );
    }
}
