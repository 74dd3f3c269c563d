use super::*;

#[test]
fn a_bad_kernel_is_refused_with_one_line() {
    let good = header1(0, &[]);
    let mut wrong_sum = good.clone();
    wrong_sum[8] ^= 1;
    let elf = |header: &[u8]| elf32(header, &[(0x10_0000, 0x2000)]);
    let two = |tags: &[(u32, &[u32])]| elf(&[vec![0; 4], header2(tags)].concat());
    let mut architecture = header2(&[]);
    architecture[4..8].copy_from_slice(&4_u32.to_le_bytes());
    architecture[12..16].copy_from_slice(&(0_u32.wrapping_sub(0xe852_50d6 + 4 + 24)).to_le_bytes());
    let mut other_machine = elf(&good);
    other_machine[18] = 40;
    let mut outside = elf(&good);
    outside[24] = 1;
    outside[27] = 0xd0;
    let late = [vec![0; 8192 - 8], good.clone()].concat();
    for (kernel, why) in [
        (vec![], "no such Multiboot header"),
        (vec![0; 40], "no such Multiboot header"),
        (late, "no such Multiboot header"),
        (vec![0x1f, 0x8b, 8], "compressed with gzip"),
        (
            elf(&wrong_sum),
            "the checksum of its Multiboot 1 header at 0x54 is wrong",
        ),
        (elf(&header1(8, &[])), "flags that are not known: 0x8"),
        (
            header1(1 << 16, &[0, 0]),
            "cut short in its Multiboot 1 header",
        ),
        (
            elf(&[vec![0; 4], architecture].concat()),
            "for architecture 4, not i386",
        ),
        (two(&[(11, &[])]), "requires a tag that is not known: 11"),
        (
            two(&[(1, &[22])]),
            "boot information of a type that is not known: 22",
        ),
        (two(&[(4, &[3])]), "requires a console"),
        (two(&[(2, &[0, 1, 0, 0])]), "contradict"),
        (
            two(&[(2, &[0, 0, 0, 0])]),
            "a load address and no entry address",
        ),
        (two(&[(10, &[1])]), "header is broken at 0x68"),
        (
            elf(&[vec![0; 4], header2(&[])[..16].to_vec()].concat()),
            "header is broken",
        ),
        (good.clone(), "not a sound ELF image"),
        (elf(&good)[..60].to_vec(), "no such Multiboot header"),
        (other_machine, "machine 40"),
        (outside, "its entry point 0xd0000001 is in no segment"),
        (elf32(&good, &[]), "without a segment"),
        (
            elf32(&good, &[(0x10_0000, 0x2000), (0x10_1fff, 0x100)]),
            "overlap",
        ),
        (
            elf32(&good, &[(0x3f_0000, 0x1_0001)]),
            "outside the guest's 4 MiB of memory",
        ),
        (elf32(&good, &[(u32::MAX, 0x100)]), "makes no sense"),
        (elf32(&good, &[(0x9_f000, 0x1000)]), "no free memory"),
        (elf32(&good, &[(0x0, 0x9_fc00)]), "no room below 640 KiB"),
    ] {
        let got = lay(&kernel).map(|_| ()).err().unwrap();
        assert!(
            got.contains(why) && !got.contains('\n'),
            "{got}\nnot: {why}"
        );
    }
    let mut cut = elf(&good);
    cut.truncate(cut.len() - 1);
    assert!(lay(&cut).is_err());
}

#[test]
fn a_module_that_does_not_fit_is_refused() {
    let kernel = elf32(&header1(0, &[]), &[(0x10_0000, 0x2000)]);
    let content = vec![1; RAM as usize - 0x10_2000 + 1];
    for (cut, fits) in [(0, false), (1, true)] {
        let modules = [BootModule {
            content: &content[cut..],
            line: "",
        }];
        let loaded = lay_out(&ram(), &files(&kernel, &modules), Protocol::Either, 1);
        assert_eq!(loaded.is_ok(), fits);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    /// Whatever is broken in a kernel, it is loaded or refused.
    #[test]
    fn never_panics(
        which in 0..4_usize,
        changes in proptest::collection::vec((0..200_usize, 0..=255_u8), 0..6),
        length in 0..400_usize,
    ) {
        let addresses = [0x20_0000, 0x20_0000, 0, 0, 0x20_0020];
        let relocatable = header2(&[(1, &[6]), (10, &[0x18_0000, 0x2f_ffff, 0x1000, 2]), (3, &[0x10_0000])]);
        let mut kernel = match which {
            0 => elf32(&header1(3, &[]), &[(0x10_0000, 0x2000), (0x8000, 0x100)]),
            1 => header1(1 << 16, &addresses),
            2 => elf32(&[vec![0; 4], relocatable].concat(), &[(0x10_0000, 0x2000)]),
            _ => [vec![], header2(&[(2, &addresses[..4]), (3, &[0x20_0020])])].concat(),
        };
        for (at, byte) in changes {
            if let Some(place) = kernel.get_mut(at) {
                *place = byte;
            }
        }
        kernel.truncate(length.max(40));
        if let Ok((_, loaded)) = lay(&kernel) {
            proptest::prop_assert!(u64::from(loaded.information) < RAM && u64::from(loaded.entry) < RAM);
        }
    }
}
