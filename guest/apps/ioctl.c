/*
 * What a system call costs: ioctl(TIOCGWINSZ) on the console, ten thousand times.
 * `cargo xtask bench` reads the line that this prints. The ioctl may fail, as it does on a pipe:
 * it is the way there and back that is measured.
 */
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <x86intrin.h>

enum { CALLS = 10000 };

int main(void)
{
	struct winsize size;
	uint64_t before, ticks;

	before = __rdtsc();
	for (int i = 0; i < CALLS; i++)
		ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	ticks = __rdtsc() - before;
	printf("ioctl %d calls, %llu TSC ticks, %llu per call\n", CALLS,
	       (unsigned long long)ticks, (unsigned long long)(ticks / CALLS));
	return 0;
}
