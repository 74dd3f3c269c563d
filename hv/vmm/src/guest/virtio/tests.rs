use super::*;
use crate::guest::Module;
use crate::machine::fake::FakeMachine;

static IMAGE: [u8; 10_000] = [7; 10_000];

fn virtio(line: &str, program: Option<&'static [u8]>) -> Result<Vec<(u16, u64)>, LoadError> {
    let module = |command_line| Module {
        command_line,
        content: &IMAGE,
    };
    let seat = Seat {
        host: FakeMachine::leak().leak_host(),
        number: 1,
        shares_console: false,
        program: &[],
        modules: &[
            module("file:a"),
            module("file:b"),
            Module {
                command_line: "file:empty",
                content: &[],
            },
        ],
    };
    let virtio = Virtio::of(&Request::parse(line).unwrap(), &seat, program)?;
    let models = virtio.models(&seat, &Wiring::on(FakeMachine::leak()));
    let facts = models.iter().map(|model| (model.id(), model.features()));
    Ok(facts.collect())
}

const READ_ONLY: u64 = 1 << 5;

#[test]
fn disks_come_in_their_order_and_entropy_last() {
    let ids = |line, program| -> Vec<(u16, bool)> {
        let models = virtio(line, program).unwrap().into_iter();
        models
            .map(|(id, features)| (id, features & READ_ONLY != 0))
            .collect()
    };
    assert_eq!(ids("linux:k", None), [(4, false)]);
    assert_eq!(
        ids("linux:k,disk=a:ro,cpus=2,disk=b", None),
        [(2, true), (2, false), (4, false)]
    );
    assert_eq!(
        ids("disk:k,disk=a:ro", Some(&IMAGE)),
        [(2, false), (2, true), (4, false)]
    );
}

#[test]
fn a_console_is_there_where_it_is_asked_for() {
    let ids = |line| -> Vec<u16> {
        let models = virtio(line, None).unwrap().into_iter();
        models.map(|(id, _)| id).collect()
    };
    assert_eq!(ids("linux:k,console=uart"), [4]);
    assert_eq!(ids("linux:k,console=virtio"), [4, 3]);
    assert!(virtio("linux:k,console=vga", None).is_err());
}

#[test]
fn disks_that_are_not_there_are_empty_or_too_many_are_refused() {
    let empty = virtio("linux:k,disk=empty:ro", None);
    assert!(matches!(empty, Err(LoadError::Program(why)) if why == "its disk `empty` is empty"));
    let missing = virtio("linux:k,disk=c", None);
    assert!(matches!(missing, Err(LoadError::NoFile(name)) if name == "c"));
    let many = virtio(&["linux:k", &",disk=a".repeat(9)].concat(), None);
    assert!(matches!(many, Err(LoadError::Program(_))));
}

#[test]
fn a_guest_pays_for_the_pages_that_it_may_write() {
    let disk = |read_only| Virtio {
        disks: alloc::vec![Image {
            bytes: &IMAGE,
            size: 10_000,
            read_only
        }],
        console: false,
    };
    let pages = 12288;
    assert_eq!(disk(false).heap_size(), pages + pages / 5 + 3 * HEAP_SIZE);
    assert_eq!(disk(true).heap_size(), 3 * HEAP_SIZE);
}

/// The capacity is the first field of a disk's configuration.
#[test]
fn the_disk_that_is_booted_has_a_whole_cylinder() {
    let seat = Seat {
        host: FakeMachine::leak().leak_host(),
        number: 1,
        shares_console: false,
        program: &[],
        modules: &[Module {
            command_line: "file:a",
            content: &IMAGE,
        }],
    };
    let request = Request::parse("disk:k,disk=a").unwrap();
    for (program, sectors) in [(&IMAGE[..512], 1008), (std::vec![0; 1 << 20].leak(), 2048)] {
        let virtio = Virtio::of(&request, &seat, Some(program)).unwrap();
        assert!(virtio.heap_size() > sectors * 512);
        let models = virtio.models(&seat, &Wiring::on(FakeMachine::leak()));
        let capacity = |n: usize| models[n].configuration()[..8].to_vec();
        assert_eq!(
            (capacity(0), capacity(1)),
            (
                sectors.to_le_bytes().to_vec(),
                20_u64.to_le_bytes().to_vec()
            )
        );
    }
}
