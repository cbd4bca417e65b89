// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * findplain - does anything of these plain files stand in that folder?
 *
 *	findplain FOLDER STRINGS PLAIN..
 *
 * Searches the names, contents, link targets and extended attributes of all
 * that is below FOLDER for every run of 16 bytes, at any offset, of every file
 * below PLAIN.., and for every line of the file STRINGS. Runs of no more than
 * two different byte values, or with 11 zeros and more, are left out: they prove
 * nothing, as a file header's numbers have such. Exit status 0: nothing was
 * found; 1: it was; 2: the search failed.
 */
#include <err.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define RUN 16
#define ZEROS 11

struct bytes {
	uint8_t *p;
	size_t len;
	size_t room;
};

static struct bytes plain;	/* all plain files, one after the other */
static struct bytes stored;	/* one object of the folder */
static uint32_t *table;		/* offsets + 1 in plain, open addressing */
static size_t mask;
static size_t runs;
static size_t searched;
static size_t objects;
static size_t found;
static struct bytes strings;

static void append(struct bytes *b, const void *p, size_t len)
{
	if (b->len + len > b->room) {
		b->room = 2 * (b->len + len);
		b->p = realloc(b->p, b->room);
		if (!b->p)
			err(2, "memory");
	}
	memcpy(b->p + b->len, p, len);
	b->len += len;
}

static void append_file(struct bytes *b, const char *path)
{
	static uint8_t buf[1 << 16];
	int fd = open(path, O_RDONLY | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		err(2, "%s", path);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		append(b, buf, n);
	if (n < 0)
		err(2, "%s", path);
	close(fd);
}

static bool trivial(const uint8_t *p)
{
	unsigned int values = 0, zeros = 0;
	bool seen[256] = { false };

	for (size_t i = 0; i < RUN; i++) {
		values += !seen[p[i]];
		zeros += !p[i];
		seen[p[i]] = true;
	}
	return values <= 2 || zeros >= ZEROS;
}

static size_t slot_of(const uint8_t *p)
{
	uint64_t a, b;

	memcpy(&a, p, 8);
	memcpy(&b, p + 8, 8);
	a = (a ^ (b * 0x9e3779b97f4a7c15u)) * 0xd6e8feb86659fd93u;
	return (a ^ (a >> 29)) & mask;
}

/* The table's entry for a run: its own, or the empty one where it belongs. */
static uint32_t *lookup(const uint8_t *p)
{
	size_t i;

	for (i = slot_of(p); table[i]; i = (i + 1) & mask)
		if (!memcmp(plain.p + table[i] - 1, p, RUN))
			break;
	return &table[i];
}

static void index_plain(size_t from)
{
	size_t i;

	for (i = from; i + RUN <= plain.len; i++) {
		uint32_t *e;

		if (trivial(plain.p + i))
			continue;
		e = lookup(plain.p + i);
		if (!*e) {
			*e = i + 1;
			runs++;
		}
	}
}

static void report(const char *where, const char *path, size_t at,
		   const void *what, size_t len)
{
	const uint8_t *p = what;
	size_t i;

	if (found++ >= 8)
		return;
	printf("%s of %s, offset %zu:", where, path, at);
	for (i = 0; i < len; i++)
		printf(" %02x", p[i]);
	printf("\n");
}

static void search(const char *where, const char *path)
{
	char *line = (char *)strings.p, *end;
	size_t i;

	searched += stored.len;
	for (i = 0; i + RUN <= stored.len; i++)
		if (!trivial(stored.p + i) && *lookup(stored.p + i))
			report(where, path, i, stored.p + i, RUN);
	for (; line < (char *)strings.p + strings.len; line = end + 1) {
		uint8_t *at;

		end = strchr(line, '\n');
		if (end == line)
			continue;
		at = memmem(stored.p, stored.len, line, end - line);
		if (at)
			report(where, path, at - stored.p, at, end - line);
	}
	stored.len = 0;
}

static void search_xattrs(const char *path)
{
	static char list[1 << 16], value[1 << 16];
	ssize_t n = llistxattr(path, list, sizeof(list)), v;
	const char *name;

	for (name = list; n > 0 && name < list + n; name += strlen(name) + 1) {
		append(&stored, name, strlen(name));
		search("attribute name", path);
		v = lgetxattr(path, name, value, sizeof(value));
		if (v < 0)
			err(2, "%s: %s", path, name);
		append(&stored, value, v);
		search("attribute value", path);
	}
}

static int visit(const char *path, const struct stat *st, int type,
		 struct FTW *ftw)
{
	char target[4096];
	ssize_t n;

	objects++;
	append(&stored, path + ftw->base, strlen(path + ftw->base));
	search("name", path);
	search_xattrs(path);
	if (type == FTW_SL) {
		n = readlink(path, target, sizeof(target));
		if (n < 0)
			err(2, "%s", path);
		append(&stored, target, n);
		search("link target", path);
	} else if (S_ISREG(st->st_mode)) {
		append_file(&stored, path);
		search("content", path);
	}
	return 0;
}

static int visit_plain(const char *path, const struct stat *st, int type,
		       struct FTW *ftw)
{
	(void)type;
	(void)ftw;
	if (S_ISREG(st->st_mode))
		append_file(&plain, path);
	return 0;
}

int main(int argc, char **argv)
{
	int i;

	if (argc < 3) {
		fprintf(stderr, "usage: findplain FOLDER STRINGS PLAIN..\n");
		return 2;
	}
	append_file(&strings, argv[2]);
	append(&strings, "\n", 2);
	strings.len--;
	for (i = 3; i < argc; i++)
		if (nftw(argv[i], visit_plain, 32, FTW_PHYS))
			err(2, "%s", argv[i]);
	if (plain.len >= UINT32_MAX / 4)
		errx(2, "more than a gigabyte to look for");
	for (mask = 1024; mask < 2 * plain.len; mask *= 2)
		;
	table = calloc(mask--, sizeof(*table));
	if (!table)
		err(2, "memory");
	index_plain(0);
	if (nftw(argv[1], visit, 32, FTW_PHYS))
		err(2, "%s", argv[1]);
	printf("%zu objects, %zu bytes searched for %zu runs of 16 bytes: "
	       "%zu found\n", objects, searched, runs, found);
	return found ? 1 : 0;
}
