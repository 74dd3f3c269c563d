//! Who the process is and what it runs on: users, uname, sysinfo, random numbers.

use super::call::{Answer, Call, SECOND};
use super::open_files::Device;
use super::progress::{STEP, Short};
use super::record::Record;
use super::state::Identity;
use crate::errno::Errno;

/// The length of a field of `struct new_utsname`, with its NUL.
const FIELD: usize = 65;
/// What uname says: system, node, release, version, machine, domain.
pub(super) const UNAME: [&str; 6] = [
    "Linux",
    "nestling",
    "6.1.0-nestling",
    concat!("#1 Nestling ", env!("CARGO_PKG_VERSION")),
    "x86_64",
    "(none)",
];

pub(super) fn uname(c: &mut Call<'_>) -> Answer {
    let mut record = [0; 6 * FIELD];
    for (field, text) in record.chunks_exact_mut(FIELD).zip(UNAME) {
        field[..text.len()].copy_from_slice(text.as_bytes());
    }
    c.process.memory.write(c.args[0], &record)?;
    Ok(0)
}

pub(super) fn sysinfo(c: &mut Call<'_>) -> Answer {
    let record: [u8; 112] = Record::new()
        .u64(c.uptime() / SECOND)
        .skip(24)
        .u64(c.process.memory.ram().size())
        .u64(c.process.memory.free_bytes())
        .skip(32)
        .u16(1)
        .skip(22)
        .u32(1)
        .done();
    c.process.memory.write(c.args[0], &record)?;
    Ok(0)
}

pub(super) fn getrandom(c: &mut Call<'_>) -> Answer {
    let [at, count, ..] = c.args;
    if c.uint(2) & !7 != 0 {
        return Err(Errno::EINVAL.into());
    }
    c.move_pieces(&[(at, count)], STEP, Short::Ends, |c, at, count, _| {
        c.read_device(Device::Random, at, count)
    })
}

pub(super) fn getuid(c: &mut Call<'_>) -> Answer {
    Ok(c.process.users.real.into())
}

pub(super) fn geteuid(c: &mut Call<'_>) -> Answer {
    Ok(c.process.users.effective.into())
}

pub(super) fn getgid(c: &mut Call<'_>) -> Answer {
    Ok(c.process.groups.real.into())
}

pub(super) fn getegid(c: &mut Call<'_>) -> Answer {
    Ok(c.process.groups.effective.into())
}

fn all(number: u32) -> Identity {
    Identity {
        real: number,
        effective: number,
        saved: number,
    }
}

/// In an argument: it stays.
const KEEP: u32 = u32::MAX;

/// CAP_SETUID and CAP_SETGID: who is root has them, whatever its groups are (capabilities(7)).
fn is_privileged(c: &Call<'_>) -> bool {
    c.process.users.effective == 0
}

fn check_privileged(c: &Call<'_>) -> Result<(), Errno> {
    match is_privileged(c) {
        true => Ok(()),
        false => Err(Errno::EPERM),
    }
}

/// Changes what is not -1. Who is privileged may become anyone, others only who they were.
fn change(c: &Call<'_>, old: Identity, wanted: [u32; 3]) -> Result<Identity, Errno> {
    let known = [old.real, old.effective, old.saved, KEEP];
    if wanted.iter().any(|number| !known.contains(number)) {
        check_privileged(c)?;
    }
    let pick = |wanted: u32, old: u32| if wanted == KEEP { old } else { wanted };
    Ok(Identity {
        real: pick(wanted[0], old.real),
        effective: pick(wanted[1], old.effective),
        saved: pick(wanted[2], old.saved),
    })
}

/// setuid and setgid: who is privileged changes all three, others only the effective number.
fn change_one(c: &Call<'_>, old: Identity, number: u32) -> Result<Identity, Errno> {
    match number {
        KEEP => Err(Errno::EINVAL),
        _ if is_privileged(c) => Ok(all(number)),
        _ => change(c, old, [KEEP, number, KEEP]),
    }
}

/// setreuid and setregid: the saved number becomes the effective one, unless that is the old real one and the real one
/// stays. The real one may not become the saved one.
fn change_two(c: &Call<'_>, old: Identity) -> Result<Identity, Errno> {
    let (real, effective) = (c.uint(0), c.uint(1));
    if ![KEEP, old.real, old.effective].contains(&real) {
        check_privileged(c)?;
    }
    let mut new = change(c, old, [real, effective, KEEP])?;
    if real != KEEP || (effective != KEEP && effective != old.real) {
        new.saved = new.effective;
    }
    Ok(new)
}

pub(super) fn setuid(c: &mut Call<'_>) -> Answer {
    c.process.users = change_one(c, c.process.users, c.uint(0))?;
    Ok(0)
}

pub(super) fn setgid(c: &mut Call<'_>) -> Answer {
    c.process.groups = change_one(c, c.process.groups, c.uint(0))?;
    Ok(0)
}

pub(super) fn setreuid(c: &mut Call<'_>) -> Answer {
    c.process.users = change_two(c, c.process.users)?;
    Ok(0)
}

pub(super) fn setregid(c: &mut Call<'_>) -> Answer {
    c.process.groups = change_two(c, c.process.groups)?;
    Ok(0)
}

pub(super) fn setresuid(c: &mut Call<'_>) -> Answer {
    c.process.users = change(c, c.process.users, [c.uint(0), c.uint(1), c.uint(2)])?;
    Ok(0)
}

pub(super) fn setresgid(c: &mut Call<'_>) -> Answer {
    c.process.groups = change(c, c.process.groups, [c.uint(0), c.uint(1), c.uint(2)])?;
    Ok(0)
}

fn give_three(c: &mut Call<'_>, identity: Identity) -> Answer {
    let numbers = [identity.real, identity.effective, identity.saved];
    for (index, number) in numbers.iter().enumerate() {
        c.process
            .memory
            .write(c.args[index], &number.to_le_bytes())?;
    }
    Ok(0)
}

pub(super) fn getresuid(c: &mut Call<'_>) -> Answer {
    give_three(c, c.process.users)
}

pub(super) fn getresgid(c: &mut Call<'_>) -> Answer {
    give_three(c, c.process.groups)
}

/// There are no supplementary groups.
pub(super) fn getgroups(c: &mut Call<'_>) -> Answer {
    match c.int(0) {
        ..0 => Err(Errno::EINVAL.into()),
        _ => Ok(0),
    }
}

pub(super) fn setgroups(c: &mut Call<'_>) -> Answer {
    check_privileged(c)?;
    match c.uint(0) {
        0..=65536 => Ok(0),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// Permissions refuse nothing, so it does not matter for whom.
pub(super) fn setfsuid(c: &mut Call<'_>) -> Answer {
    Ok(c.process.users.effective.into())
}

pub(super) fn setfsgid(c: &mut Call<'_>) -> Answer {
    Ok(c.process.groups.effective.into())
}
