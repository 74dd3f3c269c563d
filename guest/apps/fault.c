/*
 * One way to die, named by the argument. What the kernel does about it is compared with Linux.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile int zero;
static volatile char *volatile nowhere;

static __attribute__((noinline)) int recurse(int depth)
{
	volatile char frame[4096];

	frame[0] = depth;
	return depth < 0 ? 0 : recurse(depth + 1) + frame[0];
}

static void null(void) { *nowhere = 1; }
static void call_null(void) { ((void (*)(void))(uintptr_t)nowhere)(); }
static void read_kernel(void) { (void)*(volatile char *)0xffffffff81000000; }
static void noncanonical(void) { (void)*(volatile char *)0x8000000000000000; }
static void divide(void) { zero = 100 / zero; }
static void stack(void) { zero = recurse(0); }
static void ud2(void) { __asm__ volatile("ud2"); }
static void hlt(void) { __asm__ volatile("hlt"); }
static void cli(void) { __asm__ volatile("cli"); }
static void in(void) { __asm__ volatile("inb $0x60, %%al" ::: "eax"); }
static void out(void) { __asm__ volatile("outb %%al, $0x80" ::: "memory"); }
static void vmcall(void) { __asm__ volatile("vmcall" ::: "memory"); }
static void vmmcall(void) { __asm__ volatile("vmmcall" ::: "memory"); }
static void int3(void) { __asm__ volatile("int3"); }
static void int81(void) { __asm__ volatile("int $0x81"); }
static void rdmsr(void) { __asm__ volatile("rdmsr" ::"c"(0x10) : "eax", "edx"); }
static void mov_cr(void) { __asm__ volatile("mov %%cr0, %%rax" ::: "rax"); }
static void wbinvd(void) { __asm__ volatile("wbinvd"); }
static void xsetbv(void) { __asm__ volatile("xsetbv" ::"c"(0), "a"(3), "d"(0)); }
static void single_step(void) { __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; nop" ::: "memory"); }
static void simd(void)
{
	unsigned control = 0; /* All SIMD floating-point exceptions unmasked. */
	float bad = 0;

	__asm__ volatile("ldmxcsr %1; divss %0, %0" : "+x"(bad) : "m"(control));
}
static void x87(void) { __asm__ volatile("fninit; fldcw %0; fld1; fldz; fdivrp; fwait" ::"m"((short){ 0x300 })); }
static void write_text(void) { *(volatile char *)(uintptr_t)write_text = 0; }
static void run_data(void)
{
	static char code[] = { (char)0xc3 };

	((void (*)(void))(uintptr_t)code)();
}
static void misaligned(void)
{
	static char space[32] __attribute__((aligned(16)));

	__asm__ volatile("movaps %0, %%xmm0" ::"m"(*(char(*)[16])(space + 1)) : "xmm0");
}
static void die(void) { abort(); }

/* More than the machine has: the test gives the guest little. */
static void memory(void)
{
	for (;;) {
		char *block = malloc(1 << 20);

		if (!block) {
			puts("malloc says no");
			exit(9);
		}
		memset(block, 1, 1 << 20);
	}
}

static const struct {
	const char *name;
	void (*way)(void);
} WAYS[] = {
#define WAY(name) { #name, name }
	WAY(null), WAY(call_null), WAY(read_kernel), WAY(noncanonical), WAY(divide), WAY(stack), WAY(ud2), WAY(hlt),
	WAY(cli), WAY(in), WAY(out), WAY(vmcall), WAY(vmmcall), WAY(int3), WAY(int81), WAY(rdmsr), WAY(mov_cr),
	WAY(wbinvd), WAY(xsetbv), WAY(single_step), WAY(simd), WAY(x87), WAY(write_text), WAY(run_data),
	WAY(misaligned), WAY(memory), { "abort", die },
};

int main(int argc, char **argv)
{
	for (unsigned i = 0; i < sizeof WAYS / sizeof *WAYS; i++) {
		if (argc == 2 && !strcmp(argv[1], WAYS[i].name)) {
			printf("%s\n", argv[1]);
			fflush(stdout);
			WAYS[i].way();
			printf("still alive\n");
			return 1;
		}
	}
	fprintf(stderr, "no such way to die\n");
	return 2;
}
