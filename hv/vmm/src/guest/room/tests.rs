use super::*;

const MIB: u64 = 1 << 20;

#[test]
fn a_block_is_taken_where_there_is_free_memory() {
    for (at, length, taken) in [
        (0, LOW_END, true),
        (0, LOW_END + 1, false),
        (HIGH - 1, 1, false),
        (HIGH, 3 * MIB, true),
        (HIGH, 3 * MIB + 1, false),
        (4 * MIB, 1, false),
        (u64::MAX, 2, false),
        (u64::MAX, 0, true),
    ] {
        let mut room = Room::new(4 * MIB);
        let got = room.take("it", at, length);
        assert_eq!(got.is_ok(), taken, "{length:#x} at {at:#x}: {got:?}");
        assert_eq!(room.take("it", at, length).is_ok(), length == 0);
    }
}

#[test]
fn a_block_is_placed_beside_what_is_taken() {
    let mut room = Room::new(4 * MIB);
    room.take("it", HIGH, 0x1234).unwrap();
    let all = 0..u64::MAX;
    let high = HIGH..u64::MAX;
    assert_eq!(
        room.place(16, 0x1000, high.clone(), Side::Bottom),
        Some(HIGH + 0x2000)
    );
    assert_eq!(
        room.place(16, 8, high.clone(), Side::Bottom),
        Some(HIGH + 0x1238)
    );
    assert_eq!(
        room.place(16, 0x1000, all.clone(), Side::Top),
        Some(4 * MIB - 0x1000)
    );
    assert_eq!(
        room.place(16, 0x1000, all.clone(), Side::Top),
        Some(4 * MIB - 0x2000)
    );
    assert_eq!(room.place(LOW_END, 1, 0..HIGH, Side::Top), Some(0));
    assert_eq!(room.place(3 * MIB, 1, all.clone(), Side::Top), None);
    assert_eq!(room.place(3 * MIB, 1, all.clone(), Side::Bottom), None);
    assert_eq!(room.place(u64::MAX, 1, all, Side::Bottom), None);
    assert_eq!(room.place(1, u64::MAX, high, Side::Bottom), None);
}

proptest::proptest! {
    /// Whatever is placed is aligned, where it was asked for, and over nothing.
    #[test]
    fn blocks_do_not_overlap(blocks in proptest::collection::vec((0..0x8_0000_u64, 0..14_u32, 0..5 * MIB, 0..5 * MIB, proptest::bool::ANY), 1..20)) {
        let mut room = Room::new(4 * MIB);
        for (length, align, start, end, top) in blocks {
            let before = room.taken.clone();
            let from = if top { Side::Top } else { Side::Bottom };
            if let Some(at) = room.place(length, 1 << align, start..end, from) {
                proptest::prop_assert!(at % (1 << align) == 0 && at >= start && at + length <= end.min(4 * MIB));
                proptest::prop_assert!(before.iter().all(|taken| at >= taken.end || at + length <= taken.start || length == 0));
            }
        }
    }
}
