//! A guest with paging, for tests of what depends on it.

use crate::machine::Reg;
use crate::machine::fake::Fixture;
use spec::control_registers::{Cr0, Cr4};
use spec::paging::Entry;

/// The end of a page of code.
pub(super) const RIP: u64 = 0x40_0ffc;
/// Where the four levels of paging structures are; the last one's page is the code's.
pub(super) const TABLES: [u64; 4] = [0x2000, 0x3000, 0x4000, 0x5000];
pub(super) const PAGE: u64 = 0x6000;
pub(super) const OTHER_PAGE: u64 = 0x7000;
pub(super) const FLAGS: u64 = Entry::P.union(Entry::RW).union(Entry::A).bits();

/// 64-bit code on four levels of paging.
pub(super) fn paged() -> Fixture {
    let mut f = Fixture::new();
    let link = |at: u64, to: u64| f.write(at, &(to | FLAGS).to_le_bytes());
    link(TABLES[0], TABLES[1]);
    link(TABLES[1], TABLES[2]);
    link(TABLES[2] + 2 * 8, TABLES[3]);
    link(TABLES[3], PAGE);
    link(TABLES[3] + 8, OTHER_PAGE);
    let engine = &mut f.v.engine;
    engine.set_reg(Reg::Cr3, TABLES[0]);
    engine.set_reg(Reg::Cr4, Cr4::PAE.bits());
    let cr0 = engine.reg(Reg::Cr0) | Cr0::PG.bits();
    engine.set_reg(Reg::Cr0, cr0);
    engine.set_reg(Reg::Rip, RIP - 4);
    f
}

/// Every change of one paging entry that makes the walk end at [`OTHER_PAGE`]: the entry's level from the root, the
/// guest before, and what makes the change.
pub(super) fn redirections() -> impl Iterator<Item = (usize, Fixture, fn(&Fixture, usize))> {
    const COPIES: [u64; 4] = [0x8000, 0x9000, 0xa000, OTHER_PAGE];
    (0..4).map(|level| {
        let f = paged();
        for next in level + 1..4 {
            let copy: [u8; 4096] = f.read(TABLES[next]);
            f.write(COPIES[next - 1], &copy);
        }
        let redirect = |f: &Fixture, level: usize| {
            // The chain of copies ends at the other page.
            let mut last = TABLES[level] + if level == 2 { 16 } else { 0 };
            for copy in &COPIES[level..] {
                f.write(last, &(copy | FLAGS).to_le_bytes());
                last = copy + if *copy == COPIES[1] { 16 } else { 0 };
            }
        };
        (level, f, redirect as fn(&Fixture, usize))
    })
}
