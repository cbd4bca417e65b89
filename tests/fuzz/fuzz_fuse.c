// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The handlers of FUSE requests. The input is a sequence of them, as the kernel
 * could send it, on an archive in memory; between them it may spoil what is
 * stored. Every request is answered once, and if nothing was spoilt, fsck finds
 * nothing wrong at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "chaosimg_check.h"
#include "chaosimg_names.h"
#include "chaosimg_rekey.h"
#include "fixture.h"
#include "kernel.h"

enum { NODES = 48, HANDLES = 24, PATHS = 64, REKEYS = 20, SIZE_MAX_FUZZ = 1 << 22 };

/** struct node - what the kernel knows */
struct node {
	uint64_t id;
	uint64_t refs;
	uint32_t mode;
};

/** struct handle_at - what it has open */
struct handle_at {
	bool used;
	uint64_t fh;
	uint32_t flags;
	int node;
};

static struct chaosimg_archive *a;
static char archive[200], data[220];
static struct node nodes[NODES];
static struct handle_at handles[HANDLES];
static bool spoilt;

static const char *const fixed_name[] = {
	"a", "b", "c", "d", "DOE^JANE", ".hidden", "..", "chaosimg.dir",
	"chaosimg.tmp.0", "a name of thirty-two characters.", "\xc3\xa4\xff",
};

/* A name for a request: short, known, of any length up to the kernel's. */
static const char *take_name(struct input *in)
{
	static char buf[2][1100];
	static int next;
	uint8_t how = take_u8(in);
	char *name = buf[next++ % 2];
	size_t len;

	if (how < 220)
		return fixed_name[how % (sizeof(fixed_name) /
					 sizeof(fixed_name[0]))];
	len = how < 245 ? 240u + how % 20 : 1 + take_u8(in) * 4u;
	memset(name, 'n', len);
	name[0] = (char)('A' + how % 4);
	name[len] = '\0';
	return name;
}

/* --- what is known -------------------------------------------------------- */

static void learn(uint64_t id, uint32_t mode)
{
	int i, room = -1;

	if (!id)
		return;
	for (i = 0; i < NODES; i++) {
		if (nodes[i].id == id) {
			nodes[i].refs++;
			return;
		}
		if (!nodes[i].id && room < 0)
			room = i;
	}
	if (room < 0)
		kernel_forget(id, 1);
	else
		nodes[room] = (struct node){ id, 1, mode };
}

static void learn_entry(int ret, const struct kernel_reply *r)
{
	const struct fuse_entry_out *e = (const void *)r->data;

	if (ret)
		return;
	must(r->len >= sizeof(*e));
	learn(e->nodeid, e->attr.mode);
}

/* An object of a type; @type 0 for any. The root if there is none. */
static int take_node(struct input *in, uint32_t type)
{
	int want = take_u8(in), i, k;

	for (i = 0; i < NODES; i++) {
		k = (want + i) % NODES;
		if (nodes[k].id && (!type || (nodes[k].mode & S_IFMT) == type))
			return k;
	}
	return type && type != S_IFDIR ? -1 : 0;
}

static int take_handle(struct input *in, bool dir)
{
	int want = take_u8(in), i, k;

	for (i = 0; i < HANDLES; i++) {
		k = (want + i) % HANDLES;
		if (handles[k].used && dir ==
		    S_ISDIR(nodes[handles[k].node].mode))
			return k;
	}
	return -1;
}

static void learn_handle(int ret, const struct fuse_open_out *o, int node,
			 uint32_t flags)
{
	int i;

	if (ret)
		return;
	for (i = 0; handles[i].used; i++)
		;
	handles[i] = (struct handle_at){ true, o->fh, flags, node };
}

static bool handle_room(void)
{
	int i;

	for (i = 0; i < HANDLES && handles[i].used; i++)
		;
	return i < HANDLES;
}

static bool is_open(int node)
{
	int i;

	for (i = 0; i < HANDLES; i++)
		if (handles[i].used && handles[i].node == node)
			return true;
	return false;
}

static void release(int i)
{
	struct fuse_release_in in = { .fh = handles[i].fh,
				      .flags = handles[i].flags };
	struct node *n = &nodes[handles[i].node];

	kernel_ask(S_ISDIR(n->mode) ? FUSE_RELEASEDIR : FUSE_RELEASE, n->id,
		   &(struct iovec)PART(in), 1, NULL);
	handles[i].used = false;
}

static void forget(int i, uint64_t count)
{
	if (!i || !nodes[i].id || is_open(i))
		return;
	if (!count || count > nodes[i].refs)
		count = nodes[i].refs;
	nodes[i].refs -= count;
	kernel_forget(nodes[i].id, count);
	if (!nodes[i].refs)
		nodes[i].id = 0;
}

/* --- requests ------------------------------------------------------------- */

static uint64_t id_of(int node)
{
	return nodes[node].id;
}

static void ask_lookup(struct input *in)
{
	int dir = take_node(in, S_IFDIR);
	const char *name = take_name(in);
	struct kernel_reply r;

	learn_entry(kernel_ask(FUSE_LOOKUP, id_of(dir),
			       &(struct iovec)NAME_PART(name), 1, &r), &r);
}

static void ask_getattr(struct input *in)
{
	struct fuse_getattr_in q = { 0 };

	kernel_ask(FUSE_GETATTR, id_of(take_node(in, 0)),
		   &(struct iovec)PART(q), 1, NULL);
}

static void ask_setattr(struct input *in)
{
	int node = take_node(in, 0);
	struct fuse_setattr_in q = { .valid = take_u16(in) & 0x1ff };

	if ((nodes[node].mode & S_IFMT) != S_IFREG)
		q.valid &= ~(uint32_t)FATTR_SIZE;
	/* fh is only given with a file that is open. */
	q.valid &= ~(uint32_t)FATTR_FH;
	q.size = take_size(in, FIXTURE_CHUNK);
	if (q.size > SIZE_MAX_FUZZ && q.size < 1ull << 50)
		q.size %= SIZE_MAX_FUZZ;
	if (q.size > INT64_MAX)
		q.size >>= 1;
	q.atime = take_u8(in) & 1 ? take_u64(in) : take_u32(in);
	q.mtime = take_u32(in);
	q.mtimensec = take_u32(in) % 1000000000;
	q.mode = take_u16(in);
	q.uid = take_u16(in);
	q.gid = take_u16(in);
	kernel_ask(FUSE_SETATTR, id_of(node), &(struct iovec)PART(q), 1, NULL);
}

static void ask_make(struct input *in)
{
	static const uint32_t types[] = { S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR,
					  S_IFDIR };
	int dir = take_node(in, S_IFDIR);
	const char *name = take_name(in);
	uint8_t how = take_u8(in);
	struct fuse_mknod_in q = { .mode = types[how % 5] | (how & 0777) };
	struct fuse_mkdir_in d = { .mode = how & 0777 };
	struct iovec node[2] = { PART(q), NAME_PART(name) };
	struct iovec mkdir[2] = { PART(d), NAME_PART(name) };
	struct kernel_reply r;
	int ret;

	if (how % 5 == 4)
		ret = kernel_ask(FUSE_MKDIR, id_of(dir), mkdir, 2, &r);
	else
		ret = kernel_ask(FUSE_MKNOD, id_of(dir), node, 2, &r);
	learn_entry(ret, &r);
}

static void ask_symlink(struct input *in)
{
	int dir = take_node(in, S_IFDIR);
	const char *name = take_name(in);
	static char target[4096];
	size_t len = 1 + take_u16(in) % (sizeof(target) - 1);
	struct iovec part[2] = { NAME_PART(name), { target, len + 1 } };
	struct kernel_reply r;

	memset(target, 't', len);
	target[len] = '\0';
	if (len == sizeof(target) - 1)
		part[1].iov_len = sizeof(target);
	learn_entry(kernel_ask(FUSE_SYMLINK, id_of(dir), part, 2, &r), &r);
}

static void ask_link(struct input *in)
{
	int dir = take_node(in, S_IFDIR), node = take_node(in, 0);
	const char *name = take_name(in);
	struct fuse_link_in q = { id_of(node) };
	struct iovec part[2] = { PART(q), NAME_PART(name) };
	struct kernel_reply r;

	if (!S_ISDIR(nodes[node].mode))
		learn_entry(kernel_ask(FUSE_LINK, id_of(dir), part, 2, &r),
			    &r);
}

static void ask_remove(struct input *in)
{
	int dir = take_node(in, S_IFDIR);
	const char *name = take_name(in);

	kernel_ask(take_u8(in) & 1 ? FUSE_UNLINK : FUSE_RMDIR, id_of(dir),
		   &(struct iovec)NAME_PART(name), 1, NULL);
}

static void ask_rename(struct input *in)
{
	int from = take_node(in, S_IFDIR), to = take_node(in, S_IFDIR);
	const char *name = take_name(in), *other = take_name(in);
	struct fuse_rename2_in q = { .newdir = id_of(to) };
	struct iovec part[3] = { PART(q), NAME_PART(name), NAME_PART(other) };
	uint8_t how = take_u8(in);

	if (how < 64)
		q.flags = how < 32 ? RENAME_NOREPLACE : RENAME_EXCHANGE;
	else if (how == 255)
		q.flags = take_u32(in);
	kernel_ask(FUSE_RENAME2, id_of(from), part, 3, NULL);
}

static uint32_t take_open_flags(struct input *in)
{
	uint8_t how = take_u8(in);
	uint32_t flags = how % 3;	/* O_RDONLY, O_WRONLY, O_RDWR */

	return flags | (how & 16 ? O_TRUNC : 0) | (how & 32 ? O_APPEND : 0) |
	       (how & 64 ? O_DIRECT : 0);
}

static void ask_open(struct input *in)
{
	int node = take_node(in, S_IFREG);
	struct fuse_open_in q = { .flags = take_open_flags(in) };
	struct kernel_reply r;
	int ret;

	if (node < 0 || !handle_room())
		return;
	ret = kernel_ask(FUSE_OPEN, id_of(node), &(struct iovec)PART(q), 1, &r);
	learn_handle(ret, (const void *)r.data, node, q.flags);
}

static void ask_create(struct input *in)
{
	int dir = take_node(in, S_IFDIR), i;
	const char *name = take_name(in);
	struct fuse_create_in q = { .flags = take_open_flags(in) | O_CREAT,
				    .mode = S_IFREG | 0640 };
	struct iovec part[2] = { PART(q), NAME_PART(name) };
	const struct fuse_entry_out *e;
	struct kernel_reply r;
	int ret;

	if (!handle_room())
		return;
	for (i = 0; i < NODES && nodes[i].id; i++)
		;
	if (i == NODES)
		return;
	if (take_u8(in) & 1)
		q.flags |= O_EXCL;
	ret = kernel_ask(FUSE_CREATE, id_of(dir), part, 2, &r);
	if (ret)
		return;
	e = (const void *)r.data;
	learn_entry(ret, &r);
	for (i = 0; nodes[i].id != e->nodeid; i++)
		;
	learn_handle(ret, (const void *)(e + 1), i, q.flags);
}

static void ask_read(struct input *in)
{
	int h = take_handle(in, false);
	struct fuse_read_in q = { .offset = take_size(in, FIXTURE_CHUNK),
				  .size = take_u16(in) * 4u };

	if (h < 0 || (handles[h].flags & O_ACCMODE) == O_WRONLY ||
	    q.offset > INT64_MAX - q.size)
		return;
	q.fh = handles[h].fh;
	kernel_ask(FUSE_READ, id_of(handles[h].node), &(struct iovec)PART(q),
		   1, NULL);
}

static void ask_write(struct input *in)
{
	static uint8_t bytes[4 * 65536];
	int h = take_handle(in, false);
	struct fuse_write_in q = { .offset = take_size(in, FIXTURE_CHUNK),
				   .size = take_u16(in) };
	struct iovec part[2] = { PART(q), { bytes, 0 } };

	if (h < 0 || (handles[h].flags & O_ACCMODE) == O_RDONLY ||
	    q.offset > INT64_MAX - q.size)
		return;
	if (q.offset > SIZE_MAX_FUZZ && q.offset < 1ull << 50)
		q.offset %= SIZE_MAX_FUZZ;
	memset(bytes, take_u8(in), q.size);
	part[1].iov_len = q.size;
	q.fh = handles[h].fh;
	kernel_ask(FUSE_WRITE, id_of(handles[h].node), part, 2, NULL);
}

static void ask_flush(struct input *in)
{
	int h = take_handle(in, false);
	struct fuse_flush_in flush = { 0 };
	struct fuse_fsync_in sync = { .fsync_flags = take_u8(in) & 1 };

	if (h < 0)
		return;
	flush.fh = sync.fh = handles[h].fh;
	if (take_u8(in) & 1)
		kernel_ask(FUSE_FLUSH, id_of(handles[h].node),
			   &(struct iovec)PART(flush), 1, NULL);
	else
		kernel_ask(FUSE_FSYNC, id_of(handles[h].node),
			   &(struct iovec)PART(sync), 1, NULL);
}

static void ask_allocate(struct input *in)
{
	int h = take_handle(in, false);
	struct fuse_fallocate_in q = { .offset = take_size(in, FIXTURE_CHUNK) };
	struct fuse_lseek_in seek = { .offset = q.offset };
	uint8_t how = take_u8(in);

	q.length = 1 + take_size(in, FIXTURE_CHUNK) % SIZE_MAX_FUZZ;
	q.mode = how & 1 ? how >> 1 & 0x1f : FALLOC_FL_PUNCH_HOLE |
					      FALLOC_FL_KEEP_SIZE;
	seek.whence = how & 2 ? SEEK_HOLE : SEEK_DATA;
	if (h < 0 || q.offset > INT64_MAX - q.length)
		return;
	q.fh = seek.fh = handles[h].fh;
	if (how & 128) {
		kernel_ask(FUSE_LSEEK, id_of(handles[h].node),
			   &(struct iovec)PART(seek), 1, NULL);
		return;
	}
	if (q.offset > SIZE_MAX_FUZZ && q.offset < 1ull << 50)
		q.offset %= SIZE_MAX_FUZZ;
	if ((handles[h].flags & O_ACCMODE) != O_RDONLY)
		kernel_ask(FUSE_FALLOCATE, id_of(handles[h].node),
			   &(struct iovec)PART(q), 1, NULL);
}

static void ask_opendir(struct input *in)
{
	int node = take_node(in, S_IFDIR);
	struct fuse_open_in q = { .flags = O_RDONLY | O_DIRECTORY };
	struct kernel_reply r;
	int ret;

	if (!handle_room())
		return;
	ret = kernel_ask(FUSE_OPENDIR, id_of(node), &(struct iovec)PART(q), 1,
			 &r);
	learn_handle(ret, (const void *)r.data, node, q.flags);
}

static void learn_listing(const struct kernel_reply *r)
{
	static uint8_t list[65536];
	size_t len = r->len, at = 0;

	must(len <= sizeof(list));
	memcpy(list, r->data, len);
	while (at < len) {
		const struct fuse_direntplus *d = (const void *)(list + at);

		must(len - at >= FUSE_NAME_OFFSET_DIRENTPLUS);
		must(d->dirent.namelen && d->dirent.namelen <= 255);
		learn(d->entry_out.nodeid, d->entry_out.attr.mode);
		at += FUSE_DIRENTPLUS_SIZE(d);
	}
	must(at == len);
}

static void ask_readdir(struct input *in)
{
	int h = take_handle(in, true);
	uint8_t how = take_u8(in);
	struct fuse_read_in q = { .offset = how & 2 ? take_u8(in) : 0,
				  .size = how & 4 ? take_u16(in) : 4096 };
	struct fuse_fsync_in sync = { 0 };
	struct kernel_reply r;
	int ret;

	if (h < 0)
		return;
	q.fh = sync.fh = handles[h].fh;
	if (how == 255) {
		kernel_ask(FUSE_FSYNCDIR, id_of(handles[h].node),
			   &(struct iovec)PART(sync), 1, NULL);
		return;
	}
	ret = kernel_ask(how & 1 ? FUSE_READDIRPLUS : FUSE_READDIR,
			 id_of(handles[h].node), &(struct iovec)PART(q), 1,
			 &r);
	if (!ret && how & 1)
		learn_listing(&r);
}

static void ask_xattr(struct input *in)
{
	static uint8_t value[XATTR_SIZE_MAX + 16];
	static const char *const list[] = { "user.a", "user.b", "trusted.x",
		"security.capability", "system.posix_acl_access", "user.",
		"user.chaosimg.x" };
	char name[256];
	int node = take_node(in, 0);
	uint8_t how = take_u8(in), which = take_u8(in);
	struct fuse_setxattr_in set = { .size = take_u16(in), .flags = how >> 6 };
	struct fuse_getxattr_in get = { .size = set.size };

	if (which < 200)
		strcpy(name, list[which % 7]);
	else
		snprintf(name, sizeof(name), "user.%0*d", which, 1);
	memset(value, which, set.size);
	if (how % 4 == 0) {
		/* Without FUSE_SETXATTR_EXT the struct is 8 bytes. */
		struct iovec part[3] = { { &set, FUSE_COMPAT_SETXATTR_IN_SIZE },
					 NAME_PART(name), { value, set.size } };
		kernel_ask(FUSE_SETXATTR, id_of(node), part, 3, NULL);
	} else if (how % 4 == 1) {
		struct iovec part[2] = { PART(get), NAME_PART(name) };

		kernel_ask(FUSE_GETXATTR, id_of(node), part, 2, NULL);
	} else if (how % 4 == 2) {
		kernel_ask(FUSE_LISTXATTR, id_of(node),
			   &(struct iovec)PART(get), 1, NULL);
	} else {
		kernel_ask(FUSE_REMOVEXATTR, id_of(node),
			   &(struct iovec)NAME_PART(name), 1, NULL);
	}
}

static void ask_readlink(struct input *in)
{
	int node = take_node(in, S_IFLNK);

	if (node >= 0)
		kernel_ask(FUSE_READLINK, id_of(node), NULL, 0, NULL);
}

static void ask_ioctl(struct input *in)
{
	int h = take_handle(in, true);
	struct chaosimgfs_renew what = { .budget = take_u16(in) };
	struct fuse_ioctl_in q = { .flags = FUSE_IOCTL_DIR,
				   .cmd = CHAOSIMGFS_RENEW,
				   .in_size = sizeof(what) };
	struct iovec part[2] = { PART(q), PART(what) };
	uint8_t how = take_u8(in);

	if (h < 0)
		return;
	if (how == 255)
		memset(what.name, 'x', sizeof(what.name));
	else
		snprintf(what.name, sizeof(what.name), "%s", take_name(in));
	if (how == 254)
		q.cmd = take_u32(in);
	else if (how == 253)
		q.in_size = part[1].iov_len = take_u8(in);
	q.fh = handles[h].fh;
	kernel_ask(FUSE_IOCTL, id_of(handles[h].node), part, 2, NULL);
}

static void ask_statfs(struct input *in)
{
	struct fuse_access_in q = { .mask = take_u8(in) & 7 };

	kernel_ask(FUSE_STATFS, FUSE_ROOT_ID, NULL, 0, NULL);
	kernel_ask(FUSE_ACCESS, id_of(take_node(in, 0)),
		   &(struct iovec)PART(q), 1, NULL);
	kernel_user(take_u8(in) & 1 ? 1000 : 0);
}

static void do_release(struct input *in)
{
	int h = take_handle(in, take_u8(in) & 1);

	if (h >= 0)
		release(h);
}

static void do_forget(struct input *in)
{
	int node = take_node(in, 0);

	forget(node, take_u8(in));
}

static void do_rekey(struct input *in)
{
	static int rekeys;

	(void)in;
	if (rekeys++ < REKEYS)
		must(!chaosimg_archive_rekey(a, NULL));
}

/* --- spoiling what is stored ---------------------------------------------- */

static char paths[PATHS][600];
static int path_count;

static int note_path(const char *path, const struct stat *st, int type,
		     struct FTW *ftw)
{
	(void)st;
	(void)type;
	if (ftw->level && path_count < PATHS && strlen(path) < 600)
		strcpy(paths[path_count++], path);
	return 0;
}

static void flip(const char *path, struct input *in)
{
	int fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	uint8_t byte, bit = take_u8(in);
	uint16_t at = take_u16(in);

	if (fd < 0)
		return;
	if (pread(fd, &byte, 1, at) == 1) {
		byte ^= 1 << bit % 8;
		must(pwrite(fd, &byte, 1, at) == 1);
	} else {
		must(!ftruncate(fd, at) || errno == EINVAL);
	}
	close(fd);
}

static void do_spoil(struct input *in)
{
	const char *one, *other;
	uint8_t how;

	path_count = 0;
	must(!nftw(data, note_path, 16, FTW_PHYS));
	if (!spoilt || !path_count)
		return;
	one = paths[take_u8(in) % path_count];
	other = paths[take_u8(in) % path_count];
	how = take_u8(in);
	switch (how % 8) {
	case 0:
		flip(one, in);
		return;
	case 1:
		if (truncate(one, take_u16(in)))
			return;
		return;
	case 2:
		rename(one, other);
		return;
	case 3:
		renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE);
		return;
	}
	if (remove(one))
		return;
	if (how % 8 == 4)
		must(!mkfifo(one, 0600));
	else if (how % 8 == 5)
		must(!mkdir(one, 0700));
	else if (how % 8 == 6)
		must(!symlink("anything", one));
}

/* --- runs ----------------------------------------------------------------- */

typedef void step_fn(struct input *in);

static step_fn *const steps[] = {
	ask_lookup, ask_getattr, ask_setattr, ask_make, ask_symlink, ask_link,
	ask_remove, ask_rename, ask_open, ask_create, ask_create, ask_read,
	ask_write, ask_write, ask_flush, ask_allocate, ask_opendir,
	ask_readdir, ask_xattr, ask_readlink, ask_ioctl, ask_statfs,
	do_release, do_forget, do_rekey, do_spoil,
};

static void found(void *ctx, const struct chaosimg_finding *f)
{
	fprintf(stderr, "%s: %s\n", f->path, f->what);
	(void)ctx;
}

static void check_all(void)
{
	struct chaosimg_check_params p = { .threads = 1, .found = found };
	struct chaosimg_check_totals t;

	must(!chaosimg_fsck(a, &p, &t));
	must(!t.problems || spoilt);
}

static void set_up_archive(void)
{
	struct chaosimg_archive_params params = { FIXTURE_CHUNK };
	struct chaosimg_credential *cred;
	char key[200];

	snprintf(archive, sizeof(archive), "%s/archive", fixture_folder());
	snprintf(data, sizeof(data), "%s/data", archive);
	snprintf(key, sizeof(key), "%s/key", fixture_folder());
	fixture_blind(true);
	must(!chaosimg_keyfile_create(key));
	must(!chaosimg_credential_keyfile(key, &cred));
	must(!chaosimg_archive_create(archive, cred, &params));
	must(!chaosimg_archive_open(archive, cred, 0, &a));
	fixture_blind(false);
	/* The log's lines go where nobody reads them. */
	if (!getenv("FUZZ_LOG"))
		must((stderr = fopen("/dev/null", "w")));
}

static void mount_empty(uint8_t how)
{
	uint8_t id[CHAOSIMG_ID_SIZE];

	fixture_empty(data);
	must(!chaosimg_dir_init(a, chaosimg_archive_data_fd(a), NULL, id));
	memset(nodes, 0, sizeof(nodes));
	memset(handles, 0, sizeof(handles));
	nodes[0] = (struct node){ FUSE_ROOT_ID, 1, S_IFDIR };
	spoilt = how & 1;
	kernel_mount(a, archive, false, how & 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input in = { bytes, size };
	int i;

	if (!a)
		set_up_archive();
	mount_empty(take_u8(&in));
	for (i = 0; in.left && i < 200; i++)
		steps[take_u8(&in) % (sizeof(steps) / sizeof(steps[0]))](&in);
	for (i = 0; i < HANDLES; i++)
		if (handles[i].used)
			release(i);
	for (i = 1; i < NODES; i++)
		forget(i, 0);
	kernel_umount();
	check_all();
	return 0;
}
