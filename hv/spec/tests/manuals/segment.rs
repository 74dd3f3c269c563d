//! Access rights in the layouts of the VMCS, the VMCB and a descriptor.

use spec::segment::{AccessRights, Descriptor, RESERVED, TYPE_BUSY_TSS, TYPE_LDT};

#[test]
fn named_rights() {
    // VMCS layout, VMCB layout
    let rows = [
        (AccessRights::CODE64, 0xa09b, 0xa9b),
        (AccessRights::CODE32, 0xc09b, 0xc9b),
        (AccessRights::DATA, 0xc093, 0xc93),
        (AccessRights::REAL_CODE, 0x9b, 0x9b),
        (AccessRights::REAL_DATA, 0x93, 0x93),
        (AccessRights::BUSY_TSS, 0x8b, 0x8b),
        (AccessRights::LDT, 0x82, 0x82),
        (AccessRights::CODE64.with_dpl(3), 0xa0fb, 0xafb),
    ];
    for (rights, vmx, svm) in rows {
        assert_eq!(rights.bits(), vmx);
        assert_eq!(rights.to_svm(), svm, "{vmx:#x}");
        assert_eq!(AccessRights::from_svm(svm), rights);
    }
    assert_eq!(AccessRights::BUSY_TSS.segment_type(), TYPE_BUSY_TSS);
    assert_eq!(AccessRights::LDT.segment_type(), TYPE_LDT);
    assert_eq!(AccessRights::DATA.with_dpl(3).dpl(), 3);
    assert!(
        AccessRights::CODE64
            .contains(AccessRights::L | AccessRights::P | AccessRights::S | AccessRights::G)
    );
    assert!(!AccessRights::CODE64.contains(AccessRights::DB));
}

/// Every 12-bit attribute goes to the VMCS layout and back unchanged, and is unusable exactly if it is not present.
#[test]
fn attributes_round_trip() {
    for attrib in 0..0x1000 {
        let rights = AccessRights::from_svm(attrib);
        assert_eq!(rights.to_svm(), attrib);
        assert_eq!(rights.bits() & RESERVED, 0);
        assert_eq!(rights.contains(AccessRights::UNUSABLE), attrib & 0x80 == 0);
    }
}

#[test]
fn unusable_is_not_present() {
    let unusable = AccessRights::DATA | AccessRights::UNUSABLE;
    assert_eq!(unusable.to_svm(), 0xc13);
    assert!(AccessRights::from_svm(unusable.to_svm()).contains(AccessRights::UNUSABLE));
    assert_eq!(AccessRights::UNUSABLE.to_svm(), 0);
}

#[test]
fn rights_of_a_descriptor() {
    // The flat 64-bit code and data descriptors that boot loaders use.
    assert_eq!(
        AccessRights::from_descriptor_high(0x00af_9b00),
        AccessRights::CODE64
    );
    assert_eq!(
        AccessRights::from_descriptor_high(0x00cf_9300),
        AccessRights::DATA
    );
    assert_eq!(
        AccessRights::from_descriptor_high(0xffff_ffff).bits() & RESERVED,
        0
    );
    assert!(AccessRights::from_descriptor_high(0).contains(AccessRights::UNUSABLE));
}

#[test]
fn bases_and_limits_of_descriptors() {
    let row = |raw| {
        let descriptor = Descriptor(raw);
        (
            descriptor.base(),
            descriptor.limit(),
            descriptor.rights().bits(),
        )
    };
    assert_eq!(row(0x00cf_9300_0000_ffff), (0, 0xffff_ffff, 0xc093));
    assert_eq!(row(0x1200_8b34_5678_0067), (0x1234_5678, 0x67, 0x8b));
    assert_eq!(row(0xff4a_93ff_ffff_bcde), (0xffff_ffff, 0xa_bcde, 0x4093));
    assert_eq!(row(0x0080_9300_0000_0000), (0, 0xfff, 0x8093));
}
