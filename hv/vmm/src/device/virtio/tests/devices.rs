use super::*;
use crate::memory::contents::Budget;

/// "Device Operation" of the block device.
#[test]
fn a_disk_reads_what_its_image_holds_and_then_what_was_written() {
    let image = image();
    let mut driver = Driver::disk(image, false);
    assert_eq!(driver.block(0, 3, 4096), (0, 4097));
    assert_eq!(
        driver.read_ram(BUFFERS + 512, 4096),
        &image[3 * 512..][..4096]
    );
    driver.write_ram(BUFFERS + 512, &[0xa5; 1024]);
    assert_eq!(driver.block(1, 7, 1024), (0, 1));
    assert_eq!(driver.block(4, 0, 0), (0, 1), "flush");
    assert_eq!(driver.block(0, 6, 2048), (0, 2049));
    let read = driver.read_ram(BUFFERS + 512, 2048);
    assert_eq!(read[..512], image[6 * 512..][..512]);
    assert_eq!(read[512..1536], [0xa5; 1024]);
    assert_eq!(read[1536..], image[9 * 512..][..512]);
}

#[test]
fn buffers_of_any_sizes_make_one_request() {
    let image = image();
    let mut driver = Driver::disk(image, false);
    driver.write_ram(BUFFERS, &(u128::from(2u64) << 64).to_le_bytes());
    let parts = [
        (BUFFERS, 3, false),
        (BUFFERS + 3, 0, false),
        (BUFFERS + 3, 13, false),
        (BUFFERS + 512, 1, true),
        (BUFFERS + 513, 700, true),
        (BUFFERS + 1213, 324, true), // 1025 bytes: the last is the status
    ];
    assert_eq!(driver.send(&parts), 1025);
    assert_eq!(driver.read_ram(BUFFERS + 512, 1024), &image[1024..2048]);
    assert_eq!(driver.read_ram(BUFFERS + 1536, 1), [0]);
}

#[test]
fn a_disk_tells_its_size_and_ends_there() {
    let mut driver = Driver::disk(&image()[..1000], false);
    let device = driver.structures[4];
    let fields = [0, 4, 8, 12, 20].map(|at| driver.input(device + at, 4));
    assert_eq!(fields, [2, 0, 32 << 10, 62, 512]);
    assert_eq!(driver.block(0, 1, 512), (0, 513));
    let read = driver.read_ram(BUFFERS + 512, 512);
    assert_eq!(
        (&read[..488], &read[488..]),
        (&image()[512..1000], &[0; 24][..])
    );
    // A read that fails leaves the buffer as it is: of what comes first in it nothing is written.
    for (kind, written) in [(0, 0), (1, 1)] {
        for (sector, length) in [(1, 1024), (2, 512), (u64::MAX, 512), (u64::MAX / 512, 512)] {
            assert_eq!(driver.block(kind, sector, length), (1, written), "{sector}");
        }
        assert_eq!(driver.block(kind, 0, 100), (1, written), "no whole sectors");
    }
    assert_eq!(driver.block(99, 0, 512), (2, 0), "no such request");
    assert_eq!(driver.status(), 0xf);
}

#[test]
fn a_disk_has_an_identity() {
    let mut driver = Driver::disk(image(), false);
    assert_eq!(driver.block(8, 0, 20), (0, 21));
    assert_eq!(
        driver.read_ram(BUFFERS + 512, 20),
        b"nestling disk\0\0\0\0\0\0\0"
    );
}

#[test]
fn a_read_only_disk_says_so_and_refuses_writes() {
    let mut disk = Disk::new(image(), image().len() as u64, true, 1);
    disk.set_budget(Budget::new(1 << 20));
    let mut driver = Driver::new(|_| Box::new(disk));
    assert!(driver.features() & 1 << 5 != 0);
    driver.start(1 << 32);
    assert_eq!(driver.block(1, 0, 512), (1, 1));
    assert_eq!(driver.block(0, 0, 512), (0, 513));
    assert_eq!(driver.read_ram(BUFFERS + 512, 512), &image()[..512]);
}

#[test]
fn a_guest_that_used_up_its_memory_for_writes_gets_errors() {
    let mut disk = Disk::new(image(), image().len() as u64, false, 1);
    disk.set_budget(Budget::new(2 * 4096));
    let mut driver = Driver::new(|_| Box::new(disk));
    driver.start(1 << 32);
    assert_eq!(driver.block(1, 0, 512).0, 0);
    assert_eq!(driver.block(1, 20, 512).0, 0);
    assert_eq!(driver.block(1, 40, 512).0, 1);
    assert_eq!(driver.block(1, 1, 512).0, 0, "a page that it has");
    assert_eq!(driver.block(0, 40, 512).0, 0);
    assert_eq!(
        driver.read_ram(BUFFERS + 512, 512),
        &image()[40 * 512..][..512]
    );
}

/// A notification is worked off piece by piece, and interrupts each time.
#[test]
fn long_work_goes_on_later() {
    let image: &'static [u8] = Box::leak(std::vec![7; 1 << 20].into());
    let mut driver = Driver::disk(image, false);
    let parts = [
        (BUFFERS, 16, false),
        (BUFFERS + 512, 512 << 10, true),
        (BUFFERS + 16, 1, true),
    ];
    driver.chain(DESCRIPTORS, &parts);
    (0..6).for_each(|_| driver.offer(0));
    driver.notify(0);
    assert_eq!(driver.u16_at(USED + 2), 2);
    let deadline = driver.rows[2].2.deadline().expect("to go on");
    let now = driver.machine.clock.load(Relaxed);
    assert!(
        deadline > now && deadline <= now + 100_000,
        "the guest runs meanwhile"
    );
    driver.rows[2].2.advance();
    driver.notify(0);
    assert_eq!(driver.u16_at(USED + 2), 2, "not before its time");
    for done in [4, 6] {
        assert_eq!(driver.isr(), 1);
        driver.machine.clock.fetch_add(100_000, Relaxed);
        driver.rows[2].2.advance();
        assert_eq!(driver.u16_at(USED + 2), done);
    }
    assert_eq!((driver.isr(), driver.rows[2].2.deadline()), (1, None));
}

#[test]
fn requests_of_too_much_data_fail() {
    let image: &'static [u8] = Box::leak(std::vec![7; 4 << 20].into());
    let mut driver = Driver::disk(image, false);
    let parts: Vec<_> = core::iter::once((BUFFERS, 16, false))
        .chain((0..63).map(|_| (0, 32 << 10, true)))
        .chain([(BUFFERS + 16, 1, true)])
        .collect();
    driver.write_ram(BUFFERS, &[0; 16]);
    assert_eq!(
        driver.send(&parts),
        0,
        "the buffers before the status are as they were"
    );
    assert_eq!(driver.read_ram(BUFFERS + 16, 1), [1]);
}

/// "Entropy Device": one byte or more of each buffer.
#[test]
fn the_entropy_device_fills_buffers_with_what_differs() {
    let mut driver = Driver::new(|clock| Box::new(Entropy::new(clock)));
    driver.start(1 << 32);
    assert_eq!(driver.send(&[(BUFFERS, 64, true)]), 64);
    let first = driver.read_ram(BUFFERS, 65);
    assert_eq!(
        driver.send(&[(BUFFERS, 40, true), (BUFFERS + 40, 24, true)]),
        64
    );
    let second = driver.read_ram(BUFFERS, 65);
    assert!(first[..64] != second[..64] && first[64] == 0);
    assert!(first[..64].iter().filter(|&&byte| byte != 0).count() > 48);
    driver.chain(DESCRIPTORS, &[(BUFFERS, 64, false)]);
    driver.offer(0);
    driver.notify(0);
    assert_eq!(driver.status(), 0x4f, "nothing to fill");
}

fn console() -> Driver {
    Driver::new(|clock| {
        let console = Console::new(clock.machine(), None, true);
        Box::new(VirtioConsole::new(Arc::new(console)))
    })
}

/// "Console Device": queue 0 receives. It waits for what comes in.
#[test]
fn a_console_gives_what_is_typed_when_it_is_typed() {
    let mut driver = console();
    driver.start(1 << 32);
    driver.machine.typed.lock().extend(*b"ab");
    assert_eq!(driver.send(&[(BUFFERS, 64, true)]), 2);
    assert_eq!(driver.read_ram(BUFFERS, 2), b"ab");
    driver.chain(DESCRIPTORS, &[(BUFFERS, 1, true)]);
    driver.offer(0);
    driver.notify(0);
    assert_eq!(driver.take_used(), None, "nothing was typed");
    driver.machine.typed.lock().extend(*b"cd");
    let (.., ports) = driver.rows.last_mut().unwrap();
    let next = ports.deadline().expect("it looks again");
    assert!(next <= driver.machine.clock.load(Relaxed) + 10_000_000);
    driver.machine.clock.store(next, Relaxed);
    ports.advance();
    assert_eq!(driver.take_used(), Some((0, 1)));
    assert_eq!(driver.read_ram(BUFFERS, 1), b"c");
    assert!(driver.is_interrupting());
    assert_eq!(driver.send(&[(BUFFERS, 1, true)]), 1);
    assert_eq!(driver.read_ram(BUFFERS, 1), b"d", "nothing is lost");
}

/// Queue 1 transmits.
#[test]
fn a_console_writes_what_it_is_sent() {
    let mut driver = console();
    driver.start(1 << 32);
    driver.set_up_queue(1);
    let text: Vec<u8> = (0..1000u32).map(|n| b'a' + (n % 26) as u8).collect();
    driver.write_ram(BUFFERS, &text);
    driver.chain(
        DESCRIPTORS,
        &[(BUFFERS, 700, false), (BUFFERS + 700, 300, false)],
    );
    driver.offer(0);
    driver.notify(1);
    assert_eq!(driver.take_used(), Some((0, 0)));
    assert_eq!(*driver.machine.written.lock(), text);
}

/// A character takes longer than a byte of a disk.
#[test]
fn a_console_writes_long_texts_piece_by_piece_and_none_without_end() {
    let mut driver = console();
    driver.start(1 << 32);
    driver.set_up_queue(1);
    driver.chain(DESCRIPTORS, &[(BUFFERS, 32 << 10, false)]);
    (0..3).for_each(|_| driver.offer(0));
    driver.notify(1);
    assert_eq!(driver.machine.written.lock().len(), 32 << 10);
    driver.machine.clock.fetch_add(1_000_000, Relaxed);
    driver.rows[2].2.advance();
    assert_eq!(driver.machine.written.lock().len(), 64 << 10);
    let mut driver = console();
    driver.start(1 << 32);
    driver.set_up_queue(1);
    let parts: Vec<_> = (0..100).map(|_| (0, RAM as u32, false)).collect();
    driver.chain(DESCRIPTORS, &parts);
    driver.offer(0);
    driver.notify(1);
    assert_eq!(driver.status(), 0x4f, "the device needs a reset");
    assert!(driver.machine.written.lock().is_empty());
}
