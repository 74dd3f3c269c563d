use super::*;
use crate::guest::app::elf;
use std::collections::BTreeMap;

const TOP: u64 = 0x7fff_ffff_e000;

fn start<'a>(arguments: &'a [Vec<u8>], environment: &'a [&'a [u8]]) -> Start<'a> {
    Start {
        path: b"./st",
        arguments,
        environment,
        random: [0xab; 16],
        hwcap: 0x178b_fbff,
        hwcap2: 2,
        signal_stack: 3400,
    }
}

fn word(stack: &Stack, at: u64) -> u64 {
    let at = (at - stack.pointer) as usize;
    u64::from_le_bytes(stack.bytes[at..at + 8].try_into().unwrap())
}

fn string(stack: &Stack, at: u64) -> &[u8] {
    let rest = &stack.bytes[(at - stack.pointer) as usize..];
    rest.split(|&byte| byte == 0).next().unwrap()
}

#[test]
fn it_is_laid_out_as_linux_does() {
    let program = elf::parse(&elf::tests::program(&[0xf4; 16])).unwrap();
    let arguments = [b"./st".to_vec(), b"x".to_vec()];
    let stack = build(TOP, &program, &start(&arguments, &[b"A=1"])).unwrap();
    assert_eq!(stack.pointer % 16, 0);
    assert_eq!(stack.pointer + stack.bytes.len() as u64, TOP);
    // As seen natively: path, environment and arguments end 8 bytes below the top.
    assert!(
        stack
            .bytes
            .ends_with(b"\0./st\0x\0A=1\0./st\0\0\0\0\0\0\0\0\0")
    );
    let sp = stack.pointer;
    assert_eq!(word(&stack, sp), 2);
    assert_eq!(string(&stack, word(&stack, sp + 8)), b"./st");
    assert_eq!(string(&stack, word(&stack, sp + 16)), b"x");
    assert_eq!(word(&stack, sp + 24), 0);
    assert_eq!(string(&stack, word(&stack, sp + 32)), b"A=1");
    assert_eq!(word(&stack, sp + 40), 0);
    let mut vector = BTreeMap::new();
    let mut at = sp + 48;
    while word(&stack, at) != 0 {
        vector.insert(word(&stack, at), word(&stack, at + 8));
        at += 16;
    }
    assert_eq!((vector[&6], vector[&51]), (4096, 3400));
    assert_eq!((vector[&3], vector[&4], vector[&5]), (0x40_0040, 56, 2));
    assert_eq!(vector[&9], program.entry);
    assert_eq!(string(&stack, vector[&15]), b"x86_64");
    assert_eq!(string(&stack, vector[&31]), b"./st");
    assert_eq!(vector[&25] + 16, vector[&15]);
    assert_eq!(word(&stack, vector[&25]), 0xabab_abab_abab_abab);
    assert_eq!(vector.len(), 19);
}

#[test]
fn it_is_aligned_whatever_it_holds() {
    let program = elf::parse(&elf::tests::program(&[0xf4; 16])).unwrap();
    for count in 0..20 {
        let arguments: Vec<Vec<u8>> = (0..count).map(|n| std::vec![b'a'; n]).collect();
        let stack = build(TOP, &program, &start(&arguments, &[])).unwrap();
        assert_eq!(stack.pointer % 16, 0);
        assert_eq!(word(&stack, stack.pointer), count as u64);
    }
}

#[test]
fn too_much_is_refused() {
    let program = elf::parse(&elf::tests::program(&[0xf4; 16])).unwrap();
    let arguments = [std::vec![b'a'; STRINGS_MAX]];
    assert!(build(TOP, &program, &start(&arguments, &[])).is_err());
}
