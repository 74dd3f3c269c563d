/*
 * What programs want of a C library, and a C library of a kernel: floating point, sorting, memory,
 * files, directories, times, jumps. Everything printed is the same on every Linux.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static uint64_t state = 0x9e3779b97f4a7c15;

/* Marsaglia's xorshift64. */
static uint64_t random_word(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void floats(void)
{
	double sum = 0;

	for (int i = 1; i <= 100000; i++)
		sum += 1.0 / ((double)i * i);
	printf("floats: %.15g %a %Lg %e %.3f\n", sum, sqrt(2), 1.0L / 3, strtod("-1.25e-300", NULL),
	       strtod("0x1.8p3", NULL));
	printf("floats: %g %g %g %d %d\n", pow(2, 0.5), sin(1), exp(-1), (int)lround(2.5),
	       fpclassify(0.0 / strtod("0", NULL)) == FP_NAN);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void sorting(void)
{
	enum { COUNT = 50000 };
	uint64_t *words = malloc(COUNT * sizeof *words), sum = 0;

	for (int i = 0; i < COUNT; i++)
		words[i] = random_word();
	qsort(words, COUNT, sizeof *words, by_value);
	for (int i = 0; i < COUNT; i++)
		sum = sum * 31 + words[i];
	printf("sorting: %016llx\n", (unsigned long long)sum);
	free(words);
}

/* Blocks that grow, shrink and move, each full of its own byte. */
static void allocation(void)
{
	enum { BLOCKS = 64 };
	unsigned char *blocks[BLOCKS] = { 0 };
	size_t sizes[BLOCKS] = { 0 };
	unsigned wrong = 0;
	uint64_t total = 0;

	for (int round = 0; round < 2000; round++) {
		int at = random_word() % BLOCKS;
		size_t size = random_word() % (round % 50 ? 3000 : 400000);
		size_t kept = size < sizes[at] ? size : sizes[at];

		blocks[at] = realloc(blocks[at], size + 1);
		for (size_t i = 0; i < kept; i++)
			wrong += blocks[at][i] != at;
		memset(blocks[at], at, size);
		sizes[at] = size;
		total += size;
	}
	for (int at = 0; at < BLOCKS; at++)
		free(blocks[at]);
	printf("allocation: %llu bytes, %u wrong\n", (unsigned long long)total, wrong);
}

static void mapping(void)
{
	enum { PAGE = 4096, SIZE = 64 * PAGE };
	unsigned char *at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned wrong = 0;

	for (int i = 0; i < SIZE; i += PAGE)
		at[i] = i / PAGE + 1;
	wrong += munmap(at + 8 * PAGE, 8 * PAGE) != 0;
	wrong += mprotect(at, PAGE, PROT_READ) != 0;
	wrong += madvise(at + 16 * PAGE, PAGE, MADV_DONTNEED) != 0;
	wrong += at[16 * PAGE] != 0 || at[17 * PAGE] != 18;
	at = mremap(at + 20 * PAGE, 4 * PAGE, 100 * PAGE, MREMAP_MAYMOVE);
	wrong += at == MAP_FAILED || at[3 * PAGE] != 24 || at[99 * PAGE] != 0;
	printf("mapping: %u wrong\n", wrong);
}

static void streams(void)
{
	FILE *file = fopen("/tmp/stream", "w+");
	char line[40];
	int a;
	double b;

	for (int i = 0; i < 1000; i++)
		fprintf(file, "%d %.2f\n", i, i / 4.0);
	fseek(file, -9, SEEK_END);
	printf("streams: %ld ", ftell(file));
	printf("%s", fgets(line, sizeof line, file));
	rewind(file);
	for (int i = 0; i < 500; i++)
		if (fscanf(file, "%d %lf", &a, &b) != 2)
			break;
	printf("streams: %d %.2f %d\n", a, b, ungetc('x', file) == getc(file));
	fclose(file);
}

static void files(void)
{
	struct stat about;
	struct iovec parts[2] = { { "one ", 4 }, { "two\n", 4 } };
	int fd;

	mkdir("/tmp/d", 0755);
	fd = open("/tmp/d/f", O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0640);
	printf("files: %zd %zd ", writev(fd, parts, 2), write(fd, "three\n", 6));
	printf("%lld\n", (long long)lseek(fd, 100, SEEK_END));
	printf("files: %d %d %d ", link("/tmp/d/f", "/tmp/d/g"), rename("/tmp/d/f", "/tmp/d/h"),
	       symlink("h", "/tmp/d/s"));
	fstat(fd, &about);
	printf("%o %lld %d %lld\n", about.st_mode, (long long)about.st_size, (int)about.st_nlink,
	       (long long)about.st_blocks);
	printf("files: %d %d ", rmdir("/tmp/d"), errno == ENOTEMPTY);
	printf("%d %d\n", open("/tmp/d/s/x", O_RDONLY), errno == ENOTDIR);
	close(fd);
	printf("files: %d %d\n", write(fd, "x", 1) < 0, errno == EBADF);
}

static void directories(void)
{
	struct dirent **names;
	char path[PATH_MAX];
	int count = scandir("/tmp/d", &names, NULL, alphasort);

	printf("directories:");
	for (int i = 0; i < count; i++)
		printf(" %s(%d)", names[i]->d_name, names[i]->d_type);
	printf(" %d %s", chdir("/tmp/d/.."), getcwd(path, sizeof path));
	printf(" %s\n", realpath("d/s", path));
}

static void times(void)
{
	struct timespec before, after, pause = { 0, 20000000 };
	time_t when = 1709210096;
	struct tm parts;
	char text[80];

	clock_gettime(CLOCK_MONOTONIC, &before);
	nanosleep(&pause, NULL);
	clock_gettime(CLOCK_MONOTONIC, &after);
	gmtime_r(&when, &parts);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S %a %j", &parts);
	printf("times: %s %lld %d\n", text, (long long)timegm(&parts),
	       (after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec >= 20000000);
}

static jmp_buf back;

static __attribute__((noinline)) int descend(int depth)
{
	if (depth == 0)
		longjmp(back, 7);
	return depth > 1000 ? 0 : descend(depth - 1) + 1;
}

static void surroundings(void)
{
	struct rlimit limit;
	volatile int jumped = setjmp(back);

	if (jumped == 0)
		jumped = descend(1000);
	getrlimit(RLIMIT_STACK, &limit);
	printf("surroundings: %d %s %s %ld %lld\n", jumped, getenv("HOME"), getenv("TERM"),
	       sysconf(_SC_PAGESIZE), (long long)limit.rlim_cur);
	printf("surroundings: %d %d %d %s\n", isatty(0), getuid(), (int)umask(022), ttyname(1) ? "tty" : "none");
}

int main(int argc, char **argv)
{
	printf("%d arguments, the last is <%s>\n", argc - 1, argv[argc - 1]);
	floats();
	sorting();
	allocation();
	mapping();
	streams();
	files();
	directories();
	times();
	surroundings();
	return argc == 3 ? 42 : 0;
}
