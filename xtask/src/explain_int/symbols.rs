//! Names for addresses, from an ELF's symbol table.

use std::path::Path;

use anyhow::{Context, Result};
use object::{Object, ObjectSymbol, SymbolKind};

struct Symbol {
    address: u64,
    size: u64,
    data: bool,
    name: String,
}

/// The symbols of one program, by address.
#[derive(Default)]
pub(super) struct Symbols {
    symbols: Vec<Symbol>,
}

impl Symbols {
    /// Reads the symbol table of an ELF file.
    pub(super) fn read(path: &Path) -> Result<Symbols> {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = object::File::parse(&*bytes)
            .with_context(|| format!("{} is no ELF file", path.display()))?;
        Ok(Self::sorted(
            file.symbols().filter_map(|s| symbol(&s)).collect(),
        ))
    }

    fn sorted(mut symbols: Vec<Symbol>) -> Symbols {
        symbols.sort_by_key(|s| s.address);
        Symbols { symbols }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.symbols.is_empty()
    }

    /// `name+0x12` for an address in a function (or after a label that has no size).
    pub(super) fn name(&self, address: u64) -> Option<String> {
        let symbol = self.covering(address)?;
        let offset = address - symbol.address;
        Some(if offset == 0 {
            symbol.name.clone()
        } else {
            format!("{}+{offset:#x}", symbol.name)
        })
    }

    /// The function's name alone.
    pub(super) fn function(&self, address: u64) -> Option<&str> {
        self.covering(address).map(|s| s.name.as_str())
    }

    /// Whether the address lies in one of the program's variables.
    pub(super) fn is_data(&self, address: u64) -> bool {
        self.covering(address).is_some_and(|s| s.data)
    }

    fn covering(&self, address: u64) -> Option<&Symbol> {
        let after = self.symbols.partition_point(|s| s.address <= address);
        let last = self.symbols[..after].last()?;
        self.symbols[..after]
            .iter()
            .rev()
            .take_while(|s| s.address == last.address)
            .find(|s| address - s.address < s.size)
            .or(Some(last).filter(|s| s.size == 0 && !s.data && address - s.address < UNSIZED))
    }
}

/// How far a label without a size reaches.
const UNSIZED: u64 = 0x1000;

fn symbol<'a>(symbol: &impl ObjectSymbol<'a>) -> Option<Symbol> {
    let kind = symbol.kind();
    if symbol.is_undefined()
        || !matches!(
            kind,
            SymbolKind::Text | SymbolKind::Data | SymbolKind::Unknown | SymbolKind::Label
        )
    {
        return None;
    }
    let name = symbol.name().ok().filter(|n| !n.is_empty())?;
    let data = kind == SymbolKind::Data;
    let name = format!("{:#}", rustc_demangle::demangle(name));
    Some(Symbol {
        address: symbol.address(),
        size: symbol.size(),
        data,
        name,
    })
}

#[cfg(test)]
impl Symbols {
    /// Reads `nm -S`: `address [size] letter name`.
    pub(super) fn of_nm(text: &str) -> Symbols {
        Self::sorted(text.lines().filter_map(nm_line).collect())
    }
}

#[cfg(test)]
fn nm_line(line: &str) -> Option<Symbol> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let hex = |text| u64::from_str_radix(text, 16).ok();
    let (size, letter, name) = match words[..] {
        [_, size, letter, name] => (hex(size)?, letter, name),
        [_, letter, name] => (0, letter, name),
        _ => return None,
    };
    let data = matches!(letter, "b" | "B" | "d" | "D");
    Some(Symbol {
        address: hex(words[0])?,
        size,
        data,
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_program_that_runs_this_test() {
        let symbols = Symbols::read(&std::env::current_exe().unwrap()).unwrap();
        assert!(
            symbols
                .symbols
                .iter()
                .any(|s| s.name.contains("reads_the_program_that_runs_this_test"))
        );
    }

    #[test]
    fn a_text_file_is_a_clear_error() {
        let error = Symbols::read(Path::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/Cargo.toml"
        )))
        .err()
        .unwrap();
        assert!(error.to_string().contains("is no ELF file"), "{error}");
    }

    #[test]
    fn offsets_sizes_and_labels() {
        let symbols =
            Symbols::of_nm("00001000 00000010 T f\n00002000 t label\n00003000 00000100 b idt\n");
        assert_eq!(symbols.name(0x1000).unwrap(), "f");
        assert_eq!(symbols.name(0x100f).unwrap(), "f+0xf");
        assert_eq!(symbols.name(0x1010), None);
        assert_eq!(symbols.name(0x2004).unwrap(), "label+0x4");
        assert!(symbols.is_data(0x3010) && !symbols.is_data(0x1000));
    }
}
