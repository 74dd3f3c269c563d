//! The differences that `notes/adding.md` shows are differences against the code of today.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What stands between the marks of each block of this language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let start = format!("```{language}\n");
    let blocks = text.split(start.as_str()).skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn what_is_shown_for_adding_applies() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = std::fs::read_to_string(top.join("notes/adding.md")).unwrap();
    let differences = blocks(&text, "diff");
    assert!(differences.len() >= 7);
    for difference in differences {
        let mut git = Command::new("git")
            .args(["apply", "--check", "-"])
            .current_dir(top)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = git.stdin.take().unwrap();
        input.write_all(difference.as_bytes()).unwrap();
        drop(input);
        assert!(
            git.wait().unwrap().success(),
            "does not apply:\n{difference}"
        );
    }
}
