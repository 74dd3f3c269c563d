# A disk of two sectors: the first is booted, reads the second by INT 13H, changes it, and looks for what SeaBIOS left in
# memory. disk.img is made of it by: as disk.s -o disk.o && objcopy -O binary disk.o disk.img
        .code16
        .set ORIGIN, 0x7c00
        .set READ, 0x42
        .set WRITE, 0x43
start:  xorw %ax, %ax
        movw %ax, %ds
        movw %ax, %es
        movw %ax, %ss
        movw $ORIGIN, %sp
        cld
        # SeaBIOS' own text goes out at timer ticks.
        sti
        hlt
        hlt
        movw $ORIGIN + line - start, %si
        call print
        movb $READ, %ah
        call disk
        movw $0x8000, %si
        call print
        movb $'S', 0x8000
        movb $WRITE, %ah
        call disk
        movb $'?', 0x8000
        movb $READ, %ah
        call disk
        movw $0x8000, %si
        call print
        movw $ORIGIN + rsdp - start, %si
        movw $8, %dx
        call find
        movw $ORIGIN + mp - start, %si
        movw $4, %dx
        call find
        movw $ORIGIN + tables - start, %si
        call print
        xorb %al, %al
        jmp end

# Extended read or write, by %ah, of sector 1 at 0x8000; %dl stays the drive.
disk:   movw $ORIGIN + packet - start, %si
        int $0x13
        movb $1, %al
        jc end
        ret

print:  lodsb
        outb %al, $0xe9
        cmpb $'\n', %al
        jne print
        ret

# Looks for the %dx bytes at %si in every 16 bytes from 0xf0000 on.
find:   movw $0xf000, %ax
next:   movw %ax, %es
        pushw %si
        xorw %di, %di
        movw %dx, %cx
        repe cmpsb
        popw %si
        je found
        incw %ax
        jnz next
        movb $2, %al
end:    outb %al, $0xf4
found:  ret

packet: .byte 16, 0, 1, 0
        .short 0x8000, 0
        .quad 1
rsdp:   .ascii "RSD PTR "
mp:     .ascii "_MP_"
tables: .ascii "ACPI and MP tables\n"
line:   .ascii "\n"
        .org 510
        .byte 0x55, 0xaa
        .ascii "sector 1 of the disk\n"
        .org 1024
