use super::*;
use crate::guest::Module;
use crate::machine::fake::FakeMachine;
use crate::machine::{Reg, SegmentRegister};
use std::string::{String, ToString};
use std::vec::Vec;

const FIRMWARE_SIZE: usize = 256 << 10;

fn start(line: &str, firmware: Option<usize>, disk: usize) -> Result<Vcpu, String> {
    let content: Vec<u8> = (0..firmware.unwrap_or(0))
        .map(|n| (n >> 10) as u8)
        .collect();
    let module = Module {
        command_line: "file:seabios",
        content: content.leak(),
    };
    let modules = [module];
    let seat = Seat {
        host: FakeMachine::leak().leak_host(),
        number: 1,
        shares_console: false,
        program: std::vec![0; disk].leak(),
        modules: if firmware.is_some() { &modules } else { &[] },
    };
    let request = Request::parse(line).map_err(|why| why.to_string())?;
    load(&request, &seat).map_err(|why| why.to_string())
}

#[test]
fn the_processor_begins_at_the_reset_vector_in_the_firmware() {
    let v = start("disk:x,mem=2", Some(FIRMWARE_SIZE), 512).unwrap();
    let cs = v.engine.segment(SegmentRegister::Cs);
    assert_eq!(
        (cs.selector, cs.base, v.engine.reg(Reg::Rip)),
        (0xf000, 0xffff_0000, 0xfff0)
    );
    let byte = |at: u64| {
        let mut byte = [0];
        v.guest.ram.read(L1Gpa(at), &mut byte).map(|()| byte[0])
    };
    for (at, want) in [
        (0xffff_fff0, Ok(255)),
        (0xfffc_0000, Ok(0)),
        (0xfffb_ffff, Err(OutsideRam)),
        (0xf_fff0, Ok(255)),
        (0xe_0000, Ok(128)),
        (0xd_ffff, Ok(0)),
        (0x10_0000, Ok(0)),
    ] {
        assert_eq!(byte(at), want, "{at:#x}");
    }
    assert_eq!(
        v.guest.space.lock().populate(L1Gpa(0xffff_fff0), false),
        Ok(true)
    );
}

#[test]
fn what_cannot_be_started_is_said_in_one_line() {
    for (line, firmware, disk, want) in [
        (
            "disk:x",
            None,
            512,
            "no boot module is called `file:seabios`",
        ),
        (
            "disk:x",
            Some(64 << 10),
            512,
            "the module `file:seabios` has 65536 bytes; a PC's firmware",
        ),
        (
            "disk:x",
            Some((128 << 10) + 1),
            512,
            "the module `file:seabios` has 131073 bytes;",
        ),
        (
            "disk:x",
            Some(FIRMWARE_SIZE),
            0,
            "its image has 0 bytes; a disk has a sector of 512 at least",
        ),
        (
            "disk:x",
            Some(FIRMWARE_SIZE),
            511,
            "its image has 511 bytes; a disk has",
        ),
        (
            "disk:x",
            Some(FIRMWARE_SIZE),
            1000,
            "its image has 1000 bytes, which are no whole sectors",
        ),
        (
            "disk:x,mem=4000",
            Some(FIRMWARE_SIZE),
            512,
            "`mem=4000`: mem takes at most 3072 MiB",
        ),
        (
            "disk:x,cpus=9",
            Some(FIRMWARE_SIZE),
            512,
            "`cpus=9`: cpus takes",
        ),
        (
            "disk:x,initrd=i",
            Some(FIRMWARE_SIZE),
            512,
            "this kind of guest has no option `initrd`",
        ),
    ] {
        let why = start(line, firmware, disk).err().unwrap();
        assert!(
            why.starts_with(want) && !why.contains('\n'),
            "{line}: {why}"
        );
    }
}

/// What is missing is named in whole MiB, of which there is one at least.
#[test]
fn too_little_memory_is_never_none() {
    let why = LoadError::NoMemory(300 << 10).to_string();
    assert!(
        why.starts_with("the machine has not 1 MiB of memory left"),
        "{why}"
    );
}
