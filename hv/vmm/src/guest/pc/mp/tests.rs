use super::*;

const AT: u32 = 0xf_0000;

fn entries(cpus: u8) -> Vec<Vec<u8>> {
    let bytes = tables(cpus, AT);
    let (mut rest, mut entries) = (&bytes[16 + 44..], Vec::new());
    while let Some(&kind) = rest.first() {
        let (entry, behind) = rest.split_at(if kind == PROCESSOR { 20 } else { 8 });
        entries.push(entry.to_vec());
        rest = behind;
    }
    entries
}

#[test]
fn the_pointer_leads_to_the_table_and_both_sum_to_zero() {
    for cpus in 1..=8 {
        let bytes = tables(cpus, AT);
        let (pointer, table) = bytes.split_at(16);
        assert_eq!(pointer[..10], *b"_MP_\x10\x00\x0f\x00\x01\x04");
        assert_eq!((complement(pointer), complement(table)), (0, 0));
        assert_eq!((&table[..4], table[6]), (&b"PCMP"[..], 4));
        assert_eq!(
            usize::from(u16::from_le_bytes([table[4], table[5]])),
            table.len()
        );
        assert_eq!(
            usize::from(u16::from_le_bytes([table[34], table[35]])),
            entries(cpus).len()
        );
        assert_eq!(table[36..44], [0, 0, 0xe0, 0xfe, 0, 0, 0, 0]);
    }
}

#[test]
fn entries_are_in_the_order_of_their_kinds() {
    let kinds: Vec<u8> = entries(8).iter().map(|entry| entry[0]).collect();
    assert!(kinds.is_sorted(), "{kinds:?}");
    let processors: Vec<_> = entries(3)
        .iter()
        .filter(|e| e[0] == PROCESSOR)
        .map(|e| (e[1], e[3]))
        .collect();
    assert_eq!(processors, [(0, 3), (1, 1), (2, 1)]);
    let io_apic = entries(3).into_iter().find(|e| e[0] == IO_APIC_ENTRY);
    assert_eq!(io_apic, Some([2, 3, 0x11, 1, 0, 0, 0xc0, 0xfe].to_vec()));
}

#[test]
fn each_interrupt_has_its_pin() {
    let pin = |bus: u8, irq: u8| {
        let all = entries(2);
        let mut found = all
            .iter()
            .filter(|e| e[0] == IO_INTERRUPT && e[4..7] == [bus, irq, 2]);
        let pin = found.next().map(|e| (e[7], e[2]));
        assert!(found.next().is_none(), "{bus} {irq}");
        pin
    };
    for (irq, want) in [
        (0, Some((2, 0))),
        (1, Some((1, 0))),
        (2, None),
        (4, Some((4, 0))),
        (9, Some((9, 0b1101))),
        (10, Some((10, 0b1101))),
        (11, Some((11, 0b1101))),
        (12, Some((12, 0))),
    ] {
        assert_eq!(pin(ISA, irq), want, "ISA {irq}");
    }
    assert_eq!(
        (pin(PCI, 2 << 2), pin(PCI, 3 << 2)),
        (Some((10, 0b1101)), Some((11, 0b1101)))
    );
    let local: Vec<_> = entries(1)
        .into_iter()
        .filter(|e| e[0] == LOCAL_INTERRUPT)
        .collect();
    assert_eq!(
        local,
        [[4, 3, 0, 0, 1, 0, 0, 0], [4, 1, 0, 0, 1, 0, 0xff, 1]]
    );
}
