// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hold_open FOLDER FILES TIMES: holds FILES files in FOLDER open, each TIMES
 * times, by as many processes as that takes. Those that do not exist are made,
 * a thousand in a folder, and each tenth gets its number. Then it does what it
 * is told on standard input, a word a line, and answers with a line:
 *
 *	open	open N, and ERROR if not all could be opened
 *	check	right N: so many have their number in them, as they should
 *	close	closed N
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { IN_FOLDER = 1000, NUMBERED = 10 };

/* Descriptors of a child: at most, and what it has besides. */
enum { SHARE = 250000, OTHERS = 100 };

/* What a child says of one word. */
struct answer {
	uint64_t count;
	int error;
};

struct child {
	int word;
	int answer;
	pid_t pid;
};

static const char *folder;
static unsigned long times;
static int *held;
static unsigned long first, last;

static void die(const char *what)
{
	fprintf(stderr, "hold_open: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static bool numbered(unsigned long i)
{
	return i % NUMBERED == 0;
}

static int open_one(unsigned long i)
{
	char path[4096], number[32];
	int fd, n;

	snprintf(path, sizeof(path), "%s/%lu/%lu", folder, i / IN_FOLDER, i);
	fd = open(path, O_RDWR);
	if (fd >= 0 || errno != ENOENT)
		return fd;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0644);
	n = snprintf(number, sizeof(number), "%lu", i);
	if (fd >= 0 && numbered(i) && write(fd, number, n) != n)
		return -1;
	return fd;
}

/* Each file first, so that the limits are met by files, not by handles. */
static struct answer open_all(void)
{
	unsigned long files = last - first, i;
	struct answer a = { 0 };

	for (i = 0; i < files * times; i++) {
		held[i] = open_one(first + i % files);
		if (held[i] < 0) {
			a.error = errno;
			break;
		}
		a.count++;
	}
	return a;
}

static struct answer check_all(unsigned long opened)
{
	struct answer a = { 0 };
	char is[32], wanted[32];
	unsigned long i, at;
	ssize_t n;

	for (i = 0; i < opened; i++) {
		at = first + i % (last - first);
		if (!numbered(at))
			continue;
		n = pread(held[i], is, sizeof(is), 0);
		if (n < 0)
			a.error = errno;
		else if (n == snprintf(wanted, sizeof(wanted), "%lu", at) &&
			 !memcmp(is, wanted, n))
			a.count++;
	}
	return a;
}

static struct answer close_all(unsigned long opened)
{
	struct answer a = { 0 };

	while (a.count < opened) {
		if (close(held[a.count]))
			a.error = errno;
		a.count++;
	}
	return a;
}

static void obey(int word, int answer)
{
	unsigned long opened = 0;
	struct answer a;
	char c;

	held = calloc((last - first) * times, sizeof(*held));
	if (!held)
		die("memory");
	while (read(word, &c, 1) == 1) {
		if (c == 'o') {
			a = open_all();
			opened = a.count;
		} else {
			a = c == 'c' ? check_all(opened) : close_all(opened);
		}
		if (write(answer, &a, sizeof(a)) != sizeof(a))
			exit(EXIT_FAILURE);
	}
	exit(EXIT_SUCCESS);
}

/* Before there are children, each of which may need any of them. */
static void make_folders(unsigned long files)
{
	char path[4096];
	unsigned long i;

	for (i = 0; i * IN_FOLDER < files; i++) {
		snprintf(path, sizeof(path), "%s/%lu", folder, i);
		if (mkdir(path, 0755) && errno != EEXIST)
			die(path);
	}
}

/* Return: how many a child may hold. */
static unsigned long raise_limit(void)
{
	struct rlimit lim;
	unsigned long most;

	if (getrlimit(RLIMIT_NOFILE, &lim))
		die("limit");
	lim.rlim_cur = lim.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &lim))
		die("limit");
	most = lim.rlim_cur - OTHERS;
	return most < SHARE ? most : SHARE;
}

static void start(struct child *c, unsigned long from, unsigned long to)
{
	int down[2], up[2];

	if (pipe2(down, O_CLOEXEC) || pipe2(up, O_CLOEXEC))
		die("pipe");
	first = from;
	last = to;
	c->pid = fork();
	if (c->pid < 0)
		die("fork");
	if (!c->pid) {
		close(down[1]);
		close(up[0]);
		obey(down[0], up[1]);
	}
	close(down[0]);
	close(up[1]);
	c->word = down[1];
	c->answer = up[0];
}

static void tell(struct child *child, size_t count, char word,
		 const char *done)
{
	struct answer a, sum = { 0 };
	size_t i;

	for (i = 0; i < count; i++)
		if (write(child[i].word, &word, 1) != 1)
			die("a child");
	for (i = 0; i < count; i++) {
		if (read(child[i].answer, &a, sizeof(a)) != sizeof(a))
			die("a child");
		sum.count += a.count;
		if (a.error)
			sum.error = a.error;
	}
	printf("%s %llu%s%s\n", done, (unsigned long long)sum.count,
	       sum.error ? " " : "",
	       sum.error ? strerrorname_np(sum.error) : "");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	unsigned long files, each, from = 0;
	struct child *child;
	size_t count, i;
	char line[64];

	if (argc != 4)
		return EXIT_FAILURE;
	folder = argv[1];
	files = strtoul(argv[2], NULL, 10);
	times = strtoul(argv[3], NULL, 10);
	if (!files || !times)
		return EXIT_FAILURE;
	each = raise_limit() / times;
	if (!each)
		return EXIT_FAILURE;
	make_folders(files);
	count = (files + each - 1) / each;
	child = calloc(count, sizeof(*child));
	if (!child)
		die("memory");
	for (i = 0; i < count; i++, from += each)
		start(&child[i], from, from + each < files ? from + each : files);
	while (fgets(line, sizeof(line), stdin)) {
		if (!strcmp(line, "open\n"))
			tell(child, count, 'o', "open");
		else if (!strcmp(line, "check\n"))
			tell(child, count, 'c', "right");
		else if (!strcmp(line, "close\n"))
			tell(child, count, 'e', "closed");
	}
	for (i = 0; i < count; i++)
		close(child[i].word);
	while (wait(NULL) > 0)
		;
	return EXIT_SUCCESS;
}
