/*
 * Takes of everything as much as there is, in the way that the argument names, or in all ways, several times over.
 * Each has to end with an error that Linux knows for it, and what is given back has to be there again.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST = 2000000, LONG_NAME = 240 };

static char block[1 << 16];

static void die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

/* A long name: the longest cost the most. */
static char *name(const char *directory, int number)
{
	static char texts[2][LONG_NAME + 64], *text;

	text = text == texts[0] ? texts[1] : texts[0]; /* link() wants two. */
	int length = snprintf(text, sizeof texts[0], "%s/%08d", directory, number);

	memset(text + length, 'x', LONG_NAME - 8);
	text[length + LONG_NAME - 8] = 0;
	return text;
}

static int make_file(int n)
{
	int fd = open(name("/tmp", n), O_CREAT | O_EXCL | O_WRONLY, 0600);

	return fd < 0 ? -1 : close(fd);
}

static int make_full_file(int n)
{
	int fd = open(name("/tmp", n), O_CREAT | O_EXCL | O_WRONLY, 0600);
	ssize_t written = fd < 0 ? -1 : write(fd, block, sizeof block);
	int error = errno;

	if (fd >= 0)
		close(fd);
	if (fd >= 0 && written < (ssize_t)sizeof block) {
		unlink(name("/tmp", n));
		errno = written < 0 ? error : ENOSPC;
		return -1;
	}
	return fd < 0 ? -1 : 0;
}

static int make_directory(int n) { return mkdir(name("/tmp", n), 0700); }
static int make_symlink(int n)
{
	static char target[4001];

	memset(target, 't', sizeof target - 1);
	return symlink(target, name("/tmp", n));
}
static int make_link(int n)
{
	if (n == 0)
		return make_file(0);
	/* Linux' limit of names for a file is none for tmpfs; ours is 32,000: go on with another file. */
	return n % 30000 ? link(name("/tmp", n - n % 30000), name("/tmp", n)) : make_file(n);
}

static void remove_all(int count, int (*take_away)(const char *))
{
	for (int n = 0; n < count; n++)
		if (take_away(name("/tmp", n)))
			die("removing");
}

/* How many of them there can be; the same number every time, or something was not given back. */
static void files(const char *what, int (*make)(int), int (*take_away)(const char *), int wanted)
{
	int before = 0;

	for (int round = 0; round < 3; round++) {
		int count = 0;

		while (count < MOST && make(count) == 0)
			count++;
		if (errno != wanted || count == 0 || count == MOST)
			die(what);
		if (round && count != before) {
			printf("%s: %d, then %d\n", what, before, count);
			exit(1);
		}
		before = count;
		remove_all(count, take_away);
	}
	printf("%s: some, three times as many\n", what);
}

/* One in a directory in a directory: as deep as names go, then deeper with chdir. */
static void deep(void)
{
	int depth = 0;

	if (chdir("/tmp"))
		die("chdir");
	while (depth < MOST && mkdir("d", 0700) == 0 && chdir("d") == 0)
		depth++;
	if (errno != ENOSPC || depth < 100)
		die("deep");
	if (getcwd(block, sizeof block) || errno != ERANGE)
		puts("deep: a path that long has no name");
	while (depth--)
		if (chdir("..") || rmdir("d"))
			die("back");
	puts("deep: there and back");
}

static void pipes(void)
{
	static int ends[1024][2];
	int count = 0, error;

	while (count < 1024 && pipe2(ends[count], O_NONBLOCK) == 0) {
		while (write(ends[count][1], block, sizeof block) > 0)
			;
		count++;
	}
	error = errno;
	if ((error != EMFILE && error != ENFILE) || count < 10)
		die("pipes");
	for (int n = 0; n < count; n++)
		close(ends[n][0]), close(ends[n][1]);
	puts("pipes: some");
}

static void descriptors(void)
{
	int count = 0;

	while (count < MOST && open("/tmp", O_RDONLY) >= 0)
		count++;
	if (errno != EMFILE || count > 1024)
		die("descriptors");
	while (count--)
		close(3 + count);
	puts("descriptors: some");
}

/* Pages apart, which cannot be joined; without memory of their own, then with. */
static void areas(void)
{
	char *base = mmap(0, 1UL << 40, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	long count = 0;

	if (base == MAP_FAILED)
		die("mmap");
	while (count < MOST && munmap(base + 8192 * count, 4096) == 0)
		count++;
	if (errno != ENOMEM || count < 1000 || count == MOST)
		die("areas");
	if (munmap(base, 1UL << 40))
		die("all areas");
	puts("areas: some");
}

static void pages(void)
{
	size_t count = 0;
	char **last = 0, **page;

	while ((page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) != MAP_FAILED) {
		*page = (char *)last;
		last = page;
		count++;
	}
	if (errno != ENOMEM)
		die("pages");
	/* Every second one first, so that what is free is in as many pieces as can be. */
	for (page = last; page; page = (char **)*page) {
		char **second = (char **)*page;

		if (second) {
			*page = *second;
			munmap(second, 4096);
		}
	}
	while (last) {
		page = (char **)*last;
		munmap(last, 4096);
		last = page;
	}
	puts("pages: some");
}

static void file_of_pages(void)
{
	int fd = open("/tmp/one", O_CREAT | O_RDWR, 0600);
	long count = 0;

	while (count < MOST && pwrite(fd, "x", 1, 8192 * count) == 1)
		count++;
	if (errno != ENOSPC || count == MOST)
		die("file");
	close(fd);
	unlink("/tmp/one");
	puts("file with holes: some");
}

/* What is open stays when its name is gone. */
static void unlinked(void)
{
	int count = 0, fds[1024], fd;

	while (count < 1024 && (fd = open("/tmp/gone", O_CREAT | O_EXCL | O_WRONLY, 0600)) >= 0) {
		unlink("/tmp/gone");
		if (write(fd, block, sizeof block) <= 0) {
			close(fd);
			break;
		}
		fds[count++] = fd;
	}
	if (errno != ENOSPC && errno != EMFILE)
		die("unlinked");
	while (count--)
		close(fds[count]);
	puts("unlinked: some");
}

static void plain_files(void) { files("files", make_file, unlink, ENOSPC); }
static void full_files(void) { files("full files", make_full_file, unlink, ENOSPC); }
static void directories(void) { files("directories", make_directory, rmdir, ENOSPC); }
static void symlinks(void) { files("symbolic links", make_symlink, unlink, ENOSPC); }
static void links(void) { files("links", make_link, unlink, ENOSPC); }

static const struct {
	const char *name;
	void (*run)(void);
} WAYS[] = {
	{ "files", plain_files }, { "full", full_files }, { "directories", directories }, { "symlinks", symlinks },
	{ "links", links }, { "deep", deep }, { "pipes", pipes }, { "descriptors", descriptors },
	{ "file", file_of_pages }, { "unlinked", unlinked }, { "areas", areas }, { "pages", pages },
};

int main(int argc, char **argv)
{
	for (int round = 0; round < (argc > 1 ? 1 : 2); round++)
		for (unsigned way = 0; way < sizeof WAYS / sizeof *WAYS; way++)
			if (argc < 2 || !strcmp(argv[1], WAYS[way].name))
				WAYS[way].run();
	puts("all given back");
	return 0;
}
