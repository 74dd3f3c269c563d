//! Words that the design's section 4 does not use, as a part of an identifier or of a file name.

use super::Finding;
use super::source::Source;

/// The word, and what to say instead. `trap` for a VM exit is for the reader to find: `traps` is a module of the design.
const FORBIDDEN: [(&str, &str); 12] = [
    ("ctx", "name what it holds"),
    ("mgr", "name what it does"),
    ("util", "name what it does, or move it to where it is used"),
    ("utils", "name what it does, or move it to where it is used"),
    ("helper", "name what it does"),
    ("helpers", "name what it does"),
    ("common", "name what is shared"),
    ("misc", "give each thing its own place"),
    ("hyp", "say L0, or hypervisor"),
    ("hypv", "say L0, or hypervisor"),
    ("shadow", SAY_WHICH),
    ("shadows", SAY_WHICH),
];

/// What is meant by a shadow that no manual calls so.
const SAY_WHICH: &str = "say blocking by STI or MOV SS, interrupt shadow, or read shadow";

/// Names that the manuals give: registers, fields and controls, as they print them.
const MANUALS: [&str; 12] = [
    "misc_enable",
    "misc_features_enables",
    "mc0_misc",
    "vmx_misc",
    "interrupt_shadow",
    "interruptshadow",
    "read_shadow",
    "shadow_stack",
    "spec_ctrl_shadow",
    "tpr_shadow",
    // VIRTIO 1.2: the "common configuration structure", VIRTIO_PCI_CAP_COMMON_CFG.
    "common_configuration",
    "common_cfg",
];

pub(super) fn check(source: &Source, findings: &mut Vec<Finding>) {
    let in_path = source
        .path
        .split(['/', '.'])
        .map(|part| (part.to_owned(), 1));
    for (name, line) in in_path.chain(source.all_identifiers()) {
        for word in words(&without_manuals(&name)) {
            if let Some((_, instead)) = FORBIDDEN.iter().find(|(forbidden, _)| *forbidden == word) {
                findings.push(Finding {
                    path: source.path.clone(),
                    line,
                    what: format!("`{name}`: the word `{word}` is not used (design, section 4)"),
                    fix: (*instead).to_owned(),
                });
            }
        }
    }
}

fn without_manuals(name: &str) -> String {
    let lower = name.to_lowercase();
    match MANUALS.iter().find(|given| lower.contains(*given)) {
        Some(given) => lower.replace(given, ""),
        None => name.to_owned(),
    }
}

/// `guestCtx_mgr` -> guest, ctx, mgr.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before_is_lower = false;
    for letter in name.chars() {
        let starts = letter.is_uppercase() && before_is_lower;
        before_is_lower = letter.is_lowercase();
        if starts || !letter.is_alphanumeric() {
            words.push(String::new());
        }
        if letter.is_alphanumeric() {
            words
                .iter_mut()
                .last()
                .into_iter()
                .for_each(|w| w.extend(letter.to_lowercase()));
        }
    }
    words.retain(|w| !w.is_empty());
    words
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
            .map(|f| (f.line, f.what.split('`').nth(3).unwrap().to_owned()))
            .collect()
    }

    #[test]
    fn identifiers() {
        assert_eq!(
            found(
                "hv/vmm/src/a.rs",
                "struct GuestCtx;\nfn f() { m!(hyp_call) }"
            ),
            [(1, "ctx".into()), (2, "hyp".into())]
        );
    }

    #[test]
    fn file_names() {
        assert_eq!(found("hv/cpu/src/utils.rs", ""), [(1, "utils".into())]);
        assert_eq!(found("hv/cpu/src/traps.rs", "fn context() {}"), []);
    }

    #[test]
    fn texts_are_free() {
        assert_eq!(
            found("xtask/src/a.rs", "/// A ctx.\nconst A: &str = \"mgr\";"),
            []
        );
    }

    #[test]
    fn the_manuals_names_stay() {
        let text = "fn f() { set_misc_enable(IA32_MISC_ENABLE, misc_bits) }";
        assert_eq!(found("hv/spec/src/msr.rs", text), [(1, "misc".into())]);
    }

    #[test]
    fn words_that_a_manual_has_elsewhere() {
        let text = "struct InterruptShadow { interrupt_shadow: u64, cr0_read_shadow: u64 }
            fn f() { set(USE_TPR_SHADOW, VMCS_SHADOWING, supervisor_shadow_stack, v.shadow) }
            fn shadows() {}";
        assert_eq!(
            found("hv/spec/src/a.rs", text),
            [(2, "shadow".into()), (3, "shadows".into())]
        );
    }

    #[test]
    fn splits_words() {
        assert_eq!(words("from_vmx"), ["from", "vmx"]);
        assert_eq!(words("VmxExitCtx"), ["vmx", "exit", "ctx"]);
        assert_eq!(words("SVM_EXIT"), ["svm", "exit"]);
        assert_eq!(words("efer_svme"), ["efer", "svme"]);
    }
}
