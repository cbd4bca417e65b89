// SPDX-License-Identifier: GPL-2.0-or-later
/* A folder and its model: names, links, handles, and what each must answer. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsx.h"

struct settings settings = { .chunk = 65536 };

const char *const op_name[OP_TYPES] = {
	"open", "close", "read", "write", "truncate", "ftruncate",
	"map-read", "map-write", "unmap", "allocate", "sync", "rename",
	"link", "unlink", "copy", "seek", "stat", "list", "forget",
	"rename-folder", "verify", "remount",
};

bool wrong(struct world *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->why, w->why_size, fmt, ap);
	va_end(ap);
	return false;
}

static void describe(char text[64], long n)
{
	if (n < 0)
		snprintf(text, 64, "%s", strerror((int)-n));
	else
		snprintf(text, 64, "%ld", n);
}

bool expect(struct world *w, const char *call, long got, long want)
{
	char a[64], b[64];

	if (got == want)
		return true;
	describe(a, got);
	describe(b, want);
	return wrong(w, "%s: got %s, want %s", call, a, b);
}

bool compare(struct world *w, const char *how, const uint8_t *got,
	     const struct object *o, uint32_t off, uint32_t len)
{
	uint32_t first = 0, bad = 0;

	if (!memcmp(got, o->data + off, len))
		return true;
	for (uint32_t i = 0; i < len; i++) {
		if (got[i] == o->data[off + i])
			continue;
		if (!bad++)
			first = i;
	}
	return wrong(w, "%s: %u of %u bytes from %u on are wrong, the first at %u: "
		     "got %02x, want %02x; the file has %u",
		     how, bad, len, off, off + first, got[first],
		     o->data[off + first], o->len);
}

/* --- names --- */

/* A long one too: those are stored in another way. */
static void path_of(const struct world *w, uint32_t name, char path[300])
{
	uint32_t folder = name % FOLDERS;
	int n = snprintf(path, 300, "%c%u/f%u", 'a' + (int)folder,
			 w->folder_name[folder], name);

	if (name < FOLDERS) {
		memset(path + n, 'x', 230);
		path[n + 230] = '\0';
	}
}

static struct object *object_new(void)
{
	struct object *o = calloc(1, sizeof(*o));

	/* A page more, for what a mapping has past the end. */
	if (o)
		o->data = calloc(1, FILE_MAX + 4096);
	if (!o || !o->data)
		abort();
	return o;
}

static void object_release(struct object *o)
{
	if (o->links || o->handles)
		return;
	free(o->data);
	free(o);
}

static void name_set(struct world *w, uint32_t name, struct object *o)
{
	struct object *old = w->name[name];

	w->name[name] = o;
	if (o)
		o->links++;
	if (!old)
		return;
	old->links--;
	object_release(old);
}

static bool handle_close(struct world *w, struct handle *h)
{
	struct object *o = h->o;
	bool good = true;

	if (!o)
		return true;
	if (h->map)
		munmap(h->map, FILE_MAX);
	h->map = NULL;
	if (close(h->fd))
		good = wrong(w, "close: %s", strerror(errno));
	h->o = NULL;
	o->handles--;
	object_release(o);
	return good;
}

static bool do_open(struct world *w, const struct op *op)
{
	static const int how[] = {
		O_RDWR | O_CREAT, O_RDWR | O_CREAT, O_RDWR | O_CREAT, O_RDWR,
		O_RDONLY, O_WRONLY | O_CREAT | O_APPEND, O_RDWR | O_APPEND,
		O_RDWR | O_CREAT | O_EXCL, O_RDWR | O_CREAT | O_TRUNC,
		O_WRONLY, O_RDWR | O_DIRECT, O_RDWR | O_CREAT | O_SYNC,
	};
	struct handle *h = &w->handle[op->a % SLOTS];
	uint32_t name = op->b % NAMES;
	struct object *o = w->name[name];
	int flags = how[op->how % (sizeof(how) / sizeof(how[0]))], fd;
	char path[300];
	long want = 0;

	if (!handle_close(w, h))
		return false;
	if (settings.no_direct)
		flags &= ~O_DIRECT;
	if (!o && !(flags & O_CREAT))
		want = -ENOENT;
	else if (o && flags & O_EXCL)
		want = -EEXIST;
	path_of(w, name, path);
	fd = openat(w->root_fd, path, flags, 0600);
	if (!expect(w, "open", fd < 0 ? -errno : 0, want))
		return false;
	if (fd < 0)
		return true;
	if (!o) {
		o = object_new();
		name_set(w, name, o);
	}
	if (flags & O_TRUNC)
		object_resize(o, 0);
	o->handles++;
	*h = (struct handle){ .o = o, .fd = fd, .flags = flags };
	return true;
}

static bool do_truncate(struct world *w, const struct op *op)
{
	struct object *o = w->name[op->a % NAMES];
	char path[300], full[600];
	int n;

	path_of(w, op->a % NAMES, path);
	snprintf(full, sizeof(full), "%s/%s", w->root, path);
	n = truncate(full, op->off) ? -errno : 0;
	if (!expect(w, "truncate", n, o ? 0 : -ENOENT))
		return false;
	if (o)
		object_resize(o, op->off);
	return true;
}

static long rename_wants(const struct object *a, const struct object *b,
			 unsigned int flags)
{
	if (!a)
		return -ENOENT;
	if (flags & RENAME_NOREPLACE && b)
		return -EEXIST;
	return flags & RENAME_EXCHANGE && !b ? -ENOENT : 0;
}

static bool do_rename(struct world *w, const struct op *op)
{
	static const unsigned int how[] = {
		0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE
	};
	uint32_t a = op->a % NAMES, b = op->b % NAMES;
	unsigned int flags = how[op->how % 5];
	struct object *from = w->name[a], *to = w->name[b];
	char old[300], new[300];
	int n;

	path_of(w, a, old);
	path_of(w, b, new);
	n = renameat2(w->root_fd, old, w->root_fd, new, flags) ? -errno : 0;
	if (!expect(w, "rename", n, rename_wants(from, to, flags)))
		return false;
	if (n || from == to)
		return true;
	w->name[a] = w->name[b] = NULL;
	w->name[b] = from;
	if (flags & RENAME_EXCHANGE) {
		w->name[a] = to;
	} else if (to) {
		to->links--;
		object_release(to);
	}
	return true;
}

static bool do_link(struct world *w, const struct op *op)
{
	struct object *o = w->name[op->a % NAMES];
	uint32_t b = op->b % NAMES;
	char old[300], new[300];
	int n;

	path_of(w, op->a % NAMES, old);
	path_of(w, b, new);
	n = linkat(w->root_fd, old, w->root_fd, new, 0) ? -errno : 0;
	if (!expect(w, "link", n, !o ? -ENOENT : w->name[b] ? -EEXIST : 0))
		return false;
	if (!n)
		name_set(w, b, o);
	return true;
}

static bool do_unlink(struct world *w, const struct op *op)
{
	uint32_t a = op->a % NAMES;
	char path[300];
	int n;

	path_of(w, a, path);
	n = unlinkat(w->root_fd, path, 0) ? -errno : 0;
	if (!expect(w, "unlink", n, w->name[a] ? 0 : -ENOENT))
		return false;
	name_set(w, a, NULL);
	return true;
}

static bool stat_right(struct world *w, const struct stat *st,
		       const struct object *o)
{
	return expect(w, "st_size", st->st_size, o->len) &&
	       expect(w, "st_nlink", st->st_nlink, o->links);
}

static bool do_stat(struct world *w, const struct op *op)
{
	const struct handle *h = &w->handle[op->a % SLOTS];
	const struct object *o = w->name[op->b % NAMES];
	char path[300];
	struct stat st;
	int n;

	path_of(w, op->b % NAMES, path);
	n = fstatat(w->root_fd, path, &st, 0) ? -errno : 0;
	if (!expect(w, "stat", n, o ? 0 : -ENOENT) ||
	    (o && !stat_right(w, &st, o)))
		return false;
	if (!h->o)
		return true;
	return expect(w, "fstat", fstat(h->fd, &st) ? -errno : 0, 0) &&
	       stat_right(w, &st, h->o);
}

static bool do_sync(struct world *w, const struct op *op)
{
	const struct handle *h = &w->handle[op->a % SLOTS];
	int n;

	if (!h->o)
		return true;
	n = op->how % 40 == 0 ? syncfs(h->fd) :
	    op->how % 2	     ? fdatasync(h->fd) :
			       fsync(h->fd);
	return expect(w, "sync", n ? -errno : 0, 0);
}

static bool do_list(struct world *w, const struct op *op)
{
	uint32_t folder = op->a % FOLDERS, want = 0, got = 0;
	char path[300];
	struct dirent *d;
	DIR *dp;
	int fd;

	snprintf(path, sizeof(path), "%c%u", 'a' + (int)folder,
		 w->folder_name[folder]);
	fd = openat(w->root_fd, path, O_RDONLY | O_DIRECTORY);
	dp = fd < 0 ? NULL : fdopendir(fd);
	if (!dp)
		return wrong(w, "opendir: %s", strerror(errno));
	while ((d = readdir(dp))) {
		unsigned int name;

		if (sscanf(d->d_name, "f%u", &name) == 1 && name < NAMES)
			got |= 1u << name;
		else if (d->d_name[0] != '.')
			got |= 1u << NAMES;
	}
	closedir(dp);
	for (uint32_t i = folder; i < NAMES; i += FOLDERS)
		want |= (uint32_t)!!w->name[i] << i;
	return expect(w, "names", got, want);
}

static bool do_rename_folder(struct world *w, const struct op *op)
{
	uint32_t folder = op->a % FOLDERS, now = w->folder_name[folder];
	char old[16], new[16];

	snprintf(old, sizeof(old), "%c%u", 'a' + (int)folder, now);
	snprintf(new, sizeof(new), "%c%u", 'a' + (int)folder, !now);
	if (renameat(w->root_fd, old, w->root_fd, new))
		return wrong(w, "rename of a folder: %s", strerror(errno));
	w->folder_name[folder] = !now;
	return true;
}

static bool do_verify(struct world *w, uint32_t name)
{
	const struct object *o = w->name[name];
	static _Thread_local uint8_t buf[FILE_MAX + 1];
	char path[300];
	bool good;
	long n;
	int fd;

	path_of(w, name, path);
	fd = openat(w->root_fd, path, O_RDONLY);
	if (!expect(w, "open to compare", fd < 0 ? -errno : 0, o ? 0 : -ENOENT))
		return false;
	if (fd < 0)
		return true;
	n = read(fd, buf, sizeof(buf));
	good = expect(w, "read to compare", n < 0 ? -errno : n, o->len) &&
	       compare(w, "read", buf, o, 0, o->len);
	close(fd);
	return good;
}

static bool do_remount(struct world *w)
{
	bool good = true;

	if (!settings.remount)
		return true;
	for (int i = 0; i < SLOTS; i++)
		good = handle_close(w, &w->handle[i]) && good;
	close(w->root_fd);
	if (good && system(settings.remount))
		good = wrong(w, "mounting again failed");
	w->root_fd = open(w->root, O_PATH | O_DIRECTORY);
	if (good && w->root_fd < 0)
		return wrong(w, "the folder is gone");
	return good && world_verify(w);
}

static bool on_handle(struct world *w, struct handle *h, const struct op *op)
{
	if (!h->o)
		return true;
	switch (op->type) {
	case OP_READ:
		return do_read(w, h, op);
	case OP_WRITE:
		return do_write(w, h, op);
	case OP_FTRUNCATE:
		return do_ftruncate(w, h, op);
	case OP_MAP_READ:
	case OP_MAP_WRITE:
		return do_map(w, h, op);
	case OP_ALLOCATE:
		return do_allocate(w, h, op);
	case OP_COPY:
		return do_copy(w, h, op);
	case OP_SEEK:
		return do_seek(w, h, op);
	case OP_UNMAP:
		if (h->map)
			munmap(h->map, FILE_MAX);
		h->map = NULL;
		return true;
	case OP_FORGET:
		posix_fadvise(h->fd, 0, 0, POSIX_FADV_DONTNEED);
		return true;
	default:
		return handle_close(w, h);
	}
}

bool world_do(struct world *w, const struct op *op)
{
	w->counts[op->type]++;
	switch (op->type) {
	case OP_OPEN:
		return do_open(w, op);
	case OP_TRUNCATE:
		return do_truncate(w, op);
	case OP_RENAME:
		return do_rename(w, op);
	case OP_LINK:
		return do_link(w, op);
	case OP_UNLINK:
		return do_unlink(w, op);
	case OP_STAT:
		return do_stat(w, op);
	case OP_SYNC:
		return do_sync(w, op);
	case OP_LIST:
		return do_list(w, op);
	case OP_RENAME_FOLDER:
		return do_rename_folder(w, op);
	case OP_VERIFY:
		return do_verify(w, op->a % NAMES);
	case OP_REMOUNT:
		return do_remount(w);
	default:
		return on_handle(w, &w->handle[op->a % SLOTS], op);
	}
}

bool world_verify(struct world *w)
{
	for (uint32_t i = 0; i < NAMES; i++)
		if (!do_verify(w, i))
			return false;
	for (uint32_t i = 0; i < FOLDERS; i++)
		if (!do_list(w, &(struct op){ .a = i }))
			return false;
	return true;
}

struct world *world_new(const char *root, char *why, size_t size)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		abort();
	w->root = root;
	w->why = why;
	w->why_size = size;
	if (mkdir(root, 0700))
		goto failed;
	w->root_fd = open(root, O_PATH | O_DIRECTORY);
	if (w->root_fd < 0 || mkdirat(w->root_fd, "a0", 0700) ||
	    mkdirat(w->root_fd, "b0", 0700))
		goto failed;
	return w;
failed:
	wrong(w, "%s: %s", root, strerror(errno));
	free(w);
	return NULL;
}

static void remove_all(struct world *w)
{
	char path[300];

	for (uint32_t i = 0; i < NAMES; i++) {
		path_of(w, i, path);
		unlinkat(w->root_fd, path, 0);
	}
	for (unsigned int i = 0; i < FOLDERS; i++) {
		snprintf(path, sizeof(path), "%c%u", 'a' + (int)i,
			 w->folder_name[i]);
		unlinkat(w->root_fd, path, AT_REMOVEDIR);
	}
	rmdir(w->root);
}

void world_free(struct world *w, bool remove)
{
	for (int i = 0; i < SLOTS; i++)
		handle_close(w, &w->handle[i]);
	if (remove)
		remove_all(w);
	for (uint32_t i = 0; i < NAMES; i++)
		name_set(w, i, NULL);
	close(w->root_fd);
	free(w);
}
