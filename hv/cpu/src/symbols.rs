//! Names of addresses in our image, from the symbol table that GRUB loads with it.

use core::fmt;
use elf::{abi::STT_FUNC, abi::STT_NOTYPE, endian::LittleEndian, file::Class};
use elf::{string_table::StringTable, symbol::SymbolTable};
use spin::Once;

struct Table {
    symbols: &'static [u8],
    names: &'static [u8],
}

static TABLE: Once<Table> = Once::new();

/// Registers the contents of `.symtab` and of its `.strtab`.
pub fn register(symbols: &'static [u8], names: &'static [u8]) {
    TABLE.call_once(|| Table { symbols, names });
}

/// An address that prints as `0x... name+0x...`.
#[derive(Clone, Copy, Debug)]
pub struct Named(pub u64);

/// A return address, printed likewise. The call before it decides the name, since a call that
/// does not return can be the last instruction of its function.
#[derive(Clone, Copy, Debug)]
pub struct Return(pub u64);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0, self.0)
    }
}

impl fmt::Display for Return {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0, self.0.wrapping_sub(1))
    }
}

fn write(f: &mut fmt::Formatter<'_>, address: u64, inside: u64) -> fmt::Result {
    write!(f, "{address:#x}")?;
    match find(inside) {
        Some((name, start)) => write!(
            f,
            " {:#}+{:#x}",
            rustc_demangle::demangle(name),
            address - start
        ),
        None => Ok(()),
    }
}

/// The function that holds the address, and where it starts. A symbol of assembly has no size:
/// it reaches to the next one.
fn find(address: u64) -> Option<(&'static str, u64)> {
    let table = TABLE.get()?;
    let best = SymbolTable::new(LittleEndian, Class::ELF64, table.symbols)
        .iter()
        .filter(|s| matches!(s.st_symtype(), STT_FUNC | STT_NOTYPE) && s.st_shndx != 0)
        .filter(|s| s.st_value <= address && (s.st_size == 0 || address - s.st_value < s.st_size))
        .max_by_key(|s| (s.st_value, s.st_size))?;
    let name = StringTable::new(table.names)
        .get(best.st_name as usize)
        .ok()?;
    Some((name, best.st_value))
}
