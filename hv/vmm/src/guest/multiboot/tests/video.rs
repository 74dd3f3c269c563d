use super::*;

#[test]
fn a_video_mode_that_is_required_is_missed() {
    let one = |flags| header1(flags, &[]);
    let two = |kind| [vec![0; 4], header2(&[(kind, &[0, 0, 0])])].concat();
    let flat = [0x10_0000, 0x10_0000, 0, 0, 0x10_0000];
    let elf = |header: &[u8]| elf32(header, &[(0x10_0000, 0x2000)]);
    for (kernel, want) in [
        (elf(&one(3)), false),
        (elf(&one(4)), true),
        (header1(1 << 16, &flat), false),
        (header1(1 << 16 | 4, &flat), true),
        (elf(&two(6)), false),
        (elf(&two(5)), true),
        (elf(&two(5 | OPTIONAL)), false),
    ] {
        assert_eq!(lay(&kernel).unwrap().1.video, want, "{kernel:x?}");
    }
}
