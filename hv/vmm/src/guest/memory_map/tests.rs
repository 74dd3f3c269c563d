use super::*;
use crate::memory::testing::VecMemory;
use iced_x86::{Decoder, DecoderOptions, Mnemonic};
use spec::addr::Hpa;

#[test]
fn the_memory_map_ends_where_ram_does() {
    for (size, want) in [(1 << 20, 3), ((1 << 20) + 4096, 4), (3 << 30, 4)] {
        let map = memory_map(size);
        assert_eq!(map.clone().count(), want);
        let end = map.last().map(|region| region.start + region.length);
        assert_eq!(end, Some(size));
    }
    assert_eq!(lower_and_upper(128 << 20), [639, 127 << 10]);
    assert_eq!(lower_and_upper(1 << 20), [639, 0]);
}

#[test]
fn bios_calls_and_interrupts_return() {
    use Mnemonic::{Iret, Mov, Or, Out, Pop, Push};
    let ram = GuestRam::new(VecMemory::leak(1 << 20), Hpa(0), 1 << 20);
    write_bios_data(&ram).unwrap();
    let call: &[Mnemonic] = &[Push, Mov, Or, Pop, Iret];
    let interrupt: &[Mnemonic] = &[Push, Mov, Out, Out, Pop, Iret];
    for (number, want) in [
        (7, call),
        (8, interrupt),
        (0xf, interrupt),
        (0x15, call),
        (0x70, interrupt),
        (0x77, interrupt),
        (0xff, call),
    ] {
        let mut vector = [0; 4];
        ram.read(L1Gpa(number * 4), &mut vector).unwrap();
        let [ip, cs] = [0, 2].map(|at| u16::from_le_bytes([vector[at], vector[at + 1]]));
        let mut code = [0; 9];
        let at = L1Gpa((u64::from(cs) << 4) + u64::from(ip));
        ram.read(at, &mut code).unwrap();
        let decoder = Decoder::new(16, &code, DecoderOptions::NONE);
        let mnemonics = decoder
            .into_iter()
            .map(|instruction| instruction.mnemonic());
        assert!(mnemonics.eq(want.iter().copied()), "{number:#x}");
    }
}
