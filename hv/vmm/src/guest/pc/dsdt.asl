// The devices of the virtual PC, but for its processors, which guest/pc/acpi.rs appends.
// dsdt.aml is made of it by `iasl -p dsdt dsdt.asl`, and a host test makes it again.
DefinitionBlock ("dsdt.aml", "DSDT", 2, "NESTLG", "NESTLPC ", 1)
{
    // Soft-off is SLP_TYP 0.
    Name (\_S5, Package () { 0, 0, 0, 0 })

    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A03"))
            Name (_UID, 0)
            Name (_CRS, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0, 0, 1)
                IO (Decode16, 0x0CF8, 0x0CF8, 1, 8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0, 0x0000, 0x0CF7, 0, 0x0CF8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0, 0xC000, 0xFFFF, 0, 0x4000)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                    0, 0xC0000000, 0xFEBFFFFF, 0, 0x3EC00000)
            })
            // INTA of an even device is wired to IRQ 10, that of an odd one to IRQ 11.
            Name (_PRT, Package ()
            {
                Package () { 0x0001FFFF, 0, 0, 11 },
                Package () { 0x0002FFFF, 0, 0, 10 },
                Package () { 0x0003FFFF, 0, 0, 11 },
                Package () { 0x0004FFFF, 0, 0, 10 },
                Package () { 0x0005FFFF, 0, 0, 11 },
                Package () { 0x0006FFFF, 0, 0, 10 },
                Package () { 0x0007FFFF, 0, 0, 11 },
                Package () { 0x0008FFFF, 0, 0, 10 },
                Package () { 0x0009FFFF, 0, 0, 11 },
                Package () { 0x000AFFFF, 0, 0, 10 },
                Package () { 0x000BFFFF, 0, 0, 11 },
                Package () { 0x000CFFFF, 0, 0, 10 },
                Package () { 0x000DFFFF, 0, 0, 11 },
                Package () { 0x000EFFFF, 0, 0, 10 },
                Package () { 0x000FFFFF, 0, 0, 11 },
                Package () { 0x0010FFFF, 0, 0, 10 },
                Package () { 0x0011FFFF, 0, 0, 11 },
                Package () { 0x0012FFFF, 0, 0, 10 },
                Package () { 0x0013FFFF, 0, 0, 11 },
                Package () { 0x0014FFFF, 0, 0, 10 },
                Package () { 0x0015FFFF, 0, 0, 11 },
                Package () { 0x0016FFFF, 0, 0, 10 },
                Package () { 0x0017FFFF, 0, 0, 11 },
                Package () { 0x0018FFFF, 0, 0, 10 },
                Package () { 0x0019FFFF, 0, 0, 11 },
                Package () { 0x001AFFFF, 0, 0, 10 },
                Package () { 0x001BFFFF, 0, 0, 11 },
                Package () { 0x001CFFFF, 0, 0, 10 },
                Package () { 0x001DFFFF, 0, 0, 11 },
                Package () { 0x001EFFFF, 0, 0, 10 },
                Package () { 0x001FFFFF, 0, 0, 11 }
            })
        }

        Device (COM1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 1)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x03F8, 0x03F8, 0, 8)
                IRQNoFlags () { 4 }
            })
        }

        Device (RTC)
        {
            Name (_HID, EisaId ("PNP0B00"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x0070, 0x0070, 0, 2)
                IRQNoFlags () { 8 }
            })
        }

        Device (PIT)
        {
            Name (_HID, EisaId ("PNP0100"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x0040, 0x0040, 0, 4)
                IRQNoFlags () { 0 }
            })
        }

        Device (PIC)
        {
            Name (_HID, EisaId ("PNP0000"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x0020, 0x0020, 0, 2)
                IO (Decode16, 0x00A0, 0x00A0, 0, 2)
                IO (Decode16, 0x04D0, 0x04D0, 0, 2)
                IRQNoFlags () { 2 }
            })
        }
    }
}
