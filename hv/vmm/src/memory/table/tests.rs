use super::*;
use crate::memory::testing::VecMemory;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::vec::Vec;

const SIZE: u64 = 1 << 20;

/// Addresses that share structures on every level, and some that share none.
fn address() -> impl Strategy<Value = u64> {
    (0u64..2, 0u64..2, 0u64..2, 0u64..3, 0u64..4096)
        .prop_map(|(a, b, c, d, offset)| a << 39 | b << 30 | c << 21 | d << 12 | offset)
}

#[derive(Clone, Debug)]
enum Step {
    Map(u64, u64, u8, Rights),
    Unmap(u64),
    Protect(u64, Rights),
}

fn rights() -> impl Strategy<Value = Rights> {
    any::<(bool, bool)>().prop_map(|(write, execute)| Rights {
        write,
        execute,
        user: true,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (address(), 0u64..1 << 20, 1u8..4, rights()).prop_map(|(at, page, level, rights)| {
            let size = page_size(level);
            Step::Map(at / size * size, page * size % (1 << 40), level, rights)
        }),
        address().prop_map(Step::Unmap),
        (address(), rights()).prop_map(|(at, rights)| Step::Protect(at, rights)),
    ]
}

/// The pages by their start: what each maps to, its size and rights. A page that is mapped
/// replaces what it covers; a smaller one within a larger replaces the larger one.
type Model = BTreeMap<u64, (u64, u8, Rights)>;

fn covering(model: &Model, at: u64) -> Option<u64> {
    let (&start, &(_, level, _)) = model.range(..=at).next_back()?;
    (at - start < page_size(level)).then_some(start)
}

fn map_in_model(model: &mut Model, at: u64, page: u64, level: u8, rights: Rights) {
    model.retain(|&start, &mut (_, old, _)| {
        start + page_size(old) <= at || at + page_size(level) <= start
    });
    model.insert(at, (page, level, rights));
}

fn agrees<F: Format>(steps: &[Step], probes: &[u64]) -> Result<(), TestCaseError> {
    let memory: &dyn Memory = VecMemory::leak(SIZE as usize);
    let (mut next, mut model) = (PAGE_SIZE, Model::new());
    for step in steps {
        match *step {
            Step::Map(at, page, level, rights) => {
                let mut allocate = || {
                    next += PAGE_SIZE;
                    (next < SIZE).then_some(next)
                };
                prop_assert_eq!(
                    map::<F>(&memory, PAGE_SIZE, at, page, level, rights, &mut allocate),
                    Ok(())
                );
                map_in_model(&mut model, at, page, level, rights);
            }
            Step::Unmap(at) => {
                let want = covering(&model, at).and_then(|start| model.remove(&start));
                prop_assert_eq!(
                    unmap::<F>(&memory, PAGE_SIZE, at).map(|leaf| leaf.level),
                    want.map(|page| page.1)
                );
            }
            Step::Protect(at, rights) => {
                let start = covering(&model, at);
                prop_assert_eq!(
                    protect::<F>(&memory, PAGE_SIZE, at, rights).is_some(),
                    start.is_some()
                );
                if let Some(page) = start.and_then(|start| model.get_mut(&start)) {
                    page.2 = rights;
                }
            }
        }
    }
    for &at in probes {
        let want = covering(&model, at).map(|start| {
            let (page, level, rights) = model[&start];
            (page + (at - start), level, rights)
        });
        let walked = walk::<F>(&memory, PAGE_SIZE, at);
        if let Err(level) = walked {
            let start = at & !(page_size(level) - 1);
            let around = model.range(start..start + page_size(level)).next();
            prop_assert_eq!(around, None, "{:#x} level {}", at, level);
        }
        let got = walked.map(|leaf| (leaf.address, leaf.level, leaf.rights));
        prop_assert_eq!(got.ok(), want, "{:#x}", at);
    }
    Ok(())
}

proptest! {
    #[test]
    fn both_formats_agree_with_a_map(steps in proptest::collection::vec(step(), 1..25), probes in proptest::collection::vec(address(), 1..30)) {
        let edges: Vec<u64> = steps.iter().filter_map(|step| match *step {
            Step::Map(at, _, level, _) => Some([at, at + page_size(level) - 1]),
            _ => None,
        }).flatten().chain(probes).collect();
        agrees::<Ept>(&steps, &edges)?;
        agrees::<LongMode>(&steps, &edges)?;
    }
}

#[test]
fn entries_are_the_manuals() {
    let rights = Rights {
        write: false,
        execute: false,
        user: false,
    };
    assert_eq!(LongMode::leaf(0x20_0000, 2, rights), 0x8000_0000_0020_00e1);
    assert_eq!(LongMode::leaf(0x5000, 1, Rights::ALL), 0x5067);
    assert_eq!(LongMode::table(0x5000), 0x5007);
    assert_eq!(Ept::leaf(0x20_0000, 2, rights), 0x20_00b1);
    assert_eq!(Ept::leaf(0x5000, 1, Rights::ALL), 0x5037);
    assert_eq!(Ept::table(0x5000), 0x5007);
}

#[test]
fn the_end_of_frames_is_said() {
    let memory: &dyn Memory = VecMemory::leak(SIZE as usize);
    let none = map::<Ept>(&memory, PAGE_SIZE, 0, 0, 1, Rights::ALL, &mut || None);
    assert_eq!(none, Err(OutOfFrames));
    assert_eq!(walk::<Ept>(&memory, PAGE_SIZE, 0), Err(4));
}
