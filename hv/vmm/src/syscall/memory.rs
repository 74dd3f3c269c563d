//! The address space: mmap and its like.

use super::call::{Answer, Call};
use super::open_files::{Device, Object};
use super::progress::Progress;
use crate::errno::Errno;
use crate::memory::address_space::{AddressSpace, Backing, Place, Protection};
use crate::memory::contents::Contents;
use linux_raw_sys::general::{
    MADV_COLD, MADV_DODUMP, MADV_DOFORK, MADV_DONTDUMP, MADV_DONTFORK, MADV_DONTNEED,
    MADV_DONTNEED_LOCKED, MADV_FREE, MADV_HUGEPAGE, MADV_KEEPONFORK, MADV_MERGEABLE,
    MADV_NOHUGEPAGE, MADV_NORMAL, MADV_PAGEOUT, MADV_RANDOM, MADV_SEQUENTIAL, MADV_UNMERGEABLE,
    MADV_WILLNEED, MADV_WIPEONFORK, MAP_ANONYMOUS, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_PRIVATE,
    MAP_SHARED, MAP_SHARED_VALIDATE, MAP_TYPE, MREMAP_FIXED, MREMAP_MAYMOVE, PROT_EXEC,
    PROT_GROWSDOWN, PROT_READ, PROT_SEM, PROT_WRITE,
};
use spec::addr::PAGE_SIZE;

fn protection(bits: u64) -> Protection {
    let on = |bit: u32| bits & u64::from(bit) != 0;
    Protection {
        read: on(PROT_READ),
        write: on(PROT_WRITE),
        execute: on(PROT_EXEC),
    }
}

pub(super) fn mmap(c: &mut Call<'_>) -> Answer {
    let [at, length, bits, flags, _, offset] = c.args;
    let (flags, protection) = (flags as u32, protection(bits));
    let kind = flags & MAP_TYPE;
    if !matches!(kind, MAP_PRIVATE | MAP_SHARED | MAP_SHARED_VALIDATE)
        || !offset.is_multiple_of(PAGE_SIZE)
    {
        return Err(Errno::EINVAL.into());
    }
    let place = if flags & MAP_FIXED_NOREPLACE != 0 {
        Place::FixedNoReplace(at)
    } else if flags & MAP_FIXED != 0 {
        Place::Fixed(at)
    } else {
        Place::Hint(at)
    };
    if flags & MAP_ANONYMOUS != 0 {
        return Ok(c
            .process
            .memory
            .map(place, length, protection, Backing::Zero)?);
    }
    let shared = kind != MAP_PRIVATE;
    map_file(c, place, length, protection, shared)
}

/// Maps a file as it is now: later writes to the file do not show, and a shared mapping cannot
/// be writable.
fn map_file(
    c: &mut Call<'_>,
    place: Place,
    length: u64,
    protection: Protection,
    shared: bool,
) -> Answer {
    let offset = c.args[5];
    let file = c.file(4)?;
    file.check_readable().map_err(|_| Errno::EACCES)?;
    let ino = match file.object {
        Object::File => file.ino.ok_or(Errno::EBADF)?,
        Object::Device(Device::Zero) => {
            return Ok(c
                .process
                .memory
                .map(place, length, protection, Backing::Zero)?);
        }
        _ => return Err(Errno::ENODEV.into()),
    };
    if shared && protection.write {
        return Err(Errno::ENODEV.into());
    }
    let contents = c.system.files.contents(ino)?;
    let memory = &mut c.process.memory;
    Ok(map_contents(
        memory, place, length, protection, contents, offset,
    )?)
}

fn map_contents(
    memory: &mut AddressSpace,
    place: Place,
    length: u64,
    protection: Protection,
    contents: &Contents,
    offset: u64,
) -> Result<u64, Errno> {
    if let Some(data) = contents.as_borrowed() {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let data = data.get(start..).unwrap_or_default();
        let backing = Backing::Bytes { data, at: 0 };
        return memory.map(place, length, protection, backing);
    }
    let rest = contents.size().saturating_sub(offset);
    // Whole pages, of the mapping as of the file.
    let end = rest.min(length).next_multiple_of(PAGE_SIZE);
    let at = memory.map(place, length, protection, Backing::Copied { end })?;
    if let Err(error) = copy_in(memory, at, contents, offset, end) {
        memory.unmap(at, length)?;
        return Err(error);
    }
    Ok(at)
}

/// Copies a part of a file to where it is mapped.
fn copy_in(
    memory: &mut AddressSpace,
    at: u64,
    contents: &Contents,
    offset: u64,
    length: u64,
) -> Result<(), Errno> {
    let mut done = 0;
    while done < length {
        let chunk = contents.chunk(offset.saturating_add(done), (length - done) as usize);
        if chunk.is_empty() {
            break;
        }
        memory.store(at + done, chunk)?;
        done += chunk.len() as u64;
    }
    Ok(())
}

pub(super) fn munmap(c: &mut Call<'_>) -> Answer {
    c.process.memory.unmap(c.args[0], c.args[1])?;
    Ok(0)
}

pub(super) fn mprotect(c: &mut Call<'_>) -> Answer {
    let [mut at, mut length, bits, ..] = c.args;
    let known = PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM | PROT_GROWSDOWN;
    if length > 0 && bits & !u64::from(known) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let memory = &mut c.process.memory;
    if length > 0 && bits & u64::from(PROT_GROWSDOWN) != 0 {
        let start = memory
            .stack_start(at)
            .filter(|_| at.is_multiple_of(PAGE_SIZE))
            .ok_or(Errno::EINVAL)?;
        length = length.saturating_add(at - start);
        at = start;
    }
    memory.protect(at, length, protection(bits))?;
    Ok(0)
}

pub(super) fn mremap(c: &mut Call<'_>) -> Answer {
    let [at, old, new, flags, target, _] = c.args;
    let flags = flags as u32;
    let may_move = flags & MREMAP_MAYMOVE != 0;
    let fixed = flags & MREMAP_FIXED != 0;
    if flags & !(MREMAP_MAYMOVE | MREMAP_FIXED) != 0 || (fixed && !may_move) {
        return Err(Errno::EINVAL.into());
    }
    let target = fixed.then_some(target);
    Ok(c.process.memory.remap(at, old, new, may_move, target)?)
}

pub(super) fn madvise(c: &mut Call<'_>) -> Answer {
    let [at, length, ..] = c.args;
    let memory = &mut c.process.memory;
    match c.args[2] as u32 {
        MADV_DONTNEED | MADV_DONTNEED_LOCKED | MADV_FREE => memory.discard(at, length)?,
        // What is advised for forking, merging, dumping, swapping or reading ahead: none of it is.
        MADV_NORMAL | MADV_RANDOM | MADV_SEQUENTIAL | MADV_WILLNEED | MADV_DONTFORK
        | MADV_DOFORK | MADV_WIPEONFORK | MADV_KEEPONFORK | MADV_MERGEABLE | MADV_UNMERGEABLE
        | MADV_HUGEPAGE | MADV_NOHUGEPAGE | MADV_DONTDUMP | MADV_DODUMP | MADV_COLD
        | MADV_PAGEOUT => memory.check_mapped(at, length)?,
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(0)
}

pub(super) fn msync(c: &mut Call<'_>) -> Answer {
    // Nothing is shared with a file; but what is not mapped is still an error.
    c.process.memory.check_mapped(c.args[0], c.args[1])?;
    Ok(0)
}

/// How many pages mincore looks at in one step.
const MINCORE_STEP: u64 = 4096;

pub(super) fn mincore(c: &mut Call<'_>) -> Answer {
    let [at, length, to, ..] = c.args;
    c.process.memory.check_mapped(at, length)?;
    let (first, pages) = (c.progress(), length.div_ceil(PAGE_SIZE));
    let end = pages.min(first + MINCORE_STEP);
    for page in first..end {
        let present = c.process.memory.is_present(at + page * PAGE_SIZE);
        let result = [u8::from(present)];
        c.process.memory.write(to.wrapping_add(page), &result)?;
    }
    match end < pages {
        true => Err(c.cut(Progress::Whole(end))),
        false => Ok(0),
    }
}

pub(super) fn brk(c: &mut Call<'_>) -> Answer {
    Ok(c.process.memory.set_brk(c.args[0]))
}
