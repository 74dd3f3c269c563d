//! Files to 400 lines, functions to 40; rows of a table do not count.
//!
//! What is a row: a line of the array that a `const` or `static` holds; a line of a macro invocation among items (but
//! `global_asm!`); a `const` on one line; an arm on one line of a `match` that is the last expression of its function.
//! Test modules do not count. A function's length is from its signature to its closing brace.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::visit::Visit;

use super::Finding;
use super::source::{Source, lines};

const FILE: usize = 400;
const FUNCTION: usize = 40;

pub(super) fn check(source: &Source, findings: &mut Vec<Finding>, lengths: &mut Vec<usize>) {
    if source.is_all_tests() {
        return;
    }
    let mut measure = Measure::default();
    measure.visit_file(&source.file);
    let tests: usize = source
        .tests
        .iter()
        .map(|(first, last)| last + 1 - first)
        .sum();
    let counted = source
        .text
        .lines()
        .count()
        .saturating_sub(tests + measure.rows);
    if counted > FILE {
        findings.push(Finding {
            path: source.path.clone(),
            line: 1,
            what: too_long("the file", counted, FILE),
            fix: "split it by subject".to_owned(),
        });
    }
    for (name, line, length) in measure.functions {
        lengths.push(length);
        if length > FUNCTION {
            findings.push(Finding {
                path: source.path.clone(),
                line,
                what: too_long(&format!("`{name}`"), length, FUNCTION),
                fix: "give its steps names of their own".to_owned(),
            });
        }
    }
}

fn too_long(what: &str, lines: usize, limit: usize) -> String {
    format!(
        "{what} has {lines} lines without tests and table rows, more than {limit} (design, rule 12)"
    )
}

#[derive(Default)]
struct Measure {
    rows: usize,
    functions: Vec<(String, usize, usize)>,
}

impl Measure {
    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let (first, _) = lines(signature);
        let (_, last) = lines(block);
        let rows =
            last_match(block).map_or(0, |m| m.arms.iter().filter(|arm| is_one_line(*arm)).count());
        self.functions.push((
            signature.ident.to_string(),
            first,
            (last + 1 - first).saturating_sub(rows),
        ));
    }

    fn constant(&mut self, item: &impl ToTokens, value: &syn::Expr) {
        if let Some(array) = array_in(value) {
            let (first, last) = lines(array);
            self.rows += (last - first).saturating_sub(1);
        } else if is_one_line(item) {
            self.rows += 1;
        }
    }
}

impl<'a> Visit<'a> for Measure {
    fn visit_item_fn(&mut self, item: &'a syn::ItemFn) {
        self.function(&item.sig, &item.block);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'a syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
        syn::visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_const(&mut self, item: &'a syn::ItemConst) {
        let undocumented = syn::ItemConst {
            attrs: Vec::new(),
            ..item.clone()
        };
        self.constant(&undocumented, &item.expr);
    }

    fn visit_impl_item_const(&mut self, item: &'a syn::ImplItemConst) {
        let undocumented = syn::ImplItemConst {
            attrs: Vec::new(),
            ..item.clone()
        };
        self.constant(&undocumented, &item.expr);
    }

    fn visit_item_static(&mut self, item: &'a syn::ItemStatic) {
        self.constant(&TokenStream::new(), &item.expr);
    }

    fn visit_item_macro(&mut self, item: &'a syn::ItemMacro) {
        let is_definition = item.ident.is_some();
        let is_asm = item
            .mac
            .path
            .segments
            .last()
            .is_some_and(|s| s.ident == "global_asm");
        if !is_definition && !is_asm {
            let (first, last) = lines(&item.mac);
            self.rows += (last - first).saturating_sub(1);
        }
    }
}

fn is_one_line(syntax: &impl ToTokens) -> bool {
    let (first, last) = lines(syntax);
    first == last && first > 0
}

/// The array that is a table's value: `[..]`, `&[..]`, `table(&[..])`.
fn array_in(value: &syn::Expr) -> Option<&syn::ExprArray> {
    match value {
        syn::Expr::Array(array) => Some(array),
        syn::Expr::Reference(reference) => array_in(&reference.expr),
        syn::Expr::Call(call) => call.args.iter().find_map(array_in),
        _ => None,
    }
}

fn last_match(block: &syn::Block) -> Option<&syn::ExprMatch> {
    match block.stmts.last()? {
        syn::Stmt::Expr(syn::Expr::Match(found), _) => Some(found),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::source;
    use super::*;

    fn found(path: &str, text: &str) -> Vec<(usize, String)> {
        let (mut findings, mut lengths) = (Vec::new(), Vec::new());
        check(&source(path, text), &mut findings, &mut lengths);
        findings
            .iter()
            .map(|f| (f.line, f.what.split(" without").next().unwrap().to_owned()))
            .collect()
    }

    #[test]
    fn long_files() {
        let text = "// a line\n".repeat(401);
        assert_eq!(found("a.rs", &text), [(1, "the file has 401 lines".into())]);
        assert_eq!(found("a.rs", &text[10..]), []);
        assert_eq!(found("a/tests.rs", &text), []);
    }

    #[test]
    fn long_functions() {
        let text = |lines: usize| {
            format!(
                "/// Doc.\n/// Doc.\nfn f() {{\n{}}}\n",
                "    g();\n".repeat(lines)
            )
        };
        assert_eq!(found("a.rs", &text(39)), [(3, "`f` has 41 lines".into())]);
        assert_eq!(found("a.rs", &text(38)), []);
    }

    #[test]
    fn tests_do_not_count() {
        let text = format!(
            "#[cfg(test)]\nmod tests {{\n{}}}\n",
            "    const fn g() {}\n".repeat(500)
        );
        assert_eq!(found("a.rs", &text), []);
    }

    #[test]
    fn rows_do_not_count() {
        let rows = "    1,\n".repeat(500);
        assert_eq!(
            found("a.rs", &format!("const A: [u8; 500] = [\n{rows}];\n")),
            []
        );
        assert_eq!(
            found(
                "a.rs",
                &format!("static A: [u8; 500] = table(&[\n{rows}]);\n")
            ),
            []
        );
        assert_eq!(found("a.rs", &format!("fields! {{\n{rows}}}\n")), []);
        assert_eq!(
            found("a.rs", &"/// Doc.\nconst A: u8 = 1;\n".repeat(300)),
            []
        );
        let arms = "        1 => 2,\n".repeat(100);
        assert_eq!(
            found(
                "a.rs",
                &format!("fn f(x: u8) -> u8 {{\n    match x {{\n{arms}    }}\n}}\n")
            ),
            []
        );
    }

    #[test]
    fn assembly_counts() {
        let text = format!(
            "core::arch::global_asm! {{\n{}}}\n",
            "    \"nop\",\n".repeat(500)
        );
        assert_eq!(found("a.rs", &text), [(1, "the file has 502 lines".into())]);
    }
}
