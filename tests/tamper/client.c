// SPDX-License-Identifier: GPL-2.0-or-later
/* Programs that use a mounted archive. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "client.h"

enum { PIECE = 64 << 10 };

int client_lookup(uint64_t dir, const char *name, struct fuse_entry_out *e)
{
	struct kernel_reply r;
	int ret = kernel_ask(FUSE_LOOKUP, dir, &(struct iovec)NAME_PART(name),
			     1, &r);

	if (ret)
		return ret;
	must(r.len >= sizeof(*e));
	memcpy(e, r.data, sizeof(*e));
	return e->nodeid ? 0 : -ENOENT;
}

static int open_node(uint32_t opcode, uint64_t node, uint32_t flags,
		     uint64_t *fh)
{
	struct fuse_open_in in = { .flags = flags };
	struct fuse_open_out out;
	struct kernel_reply r;
	int ret = kernel_ask(opcode, node, &(struct iovec)PART(in), 1, &r);

	if (ret)
		return ret;
	memcpy(&out, r.data, sizeof(out));
	*fh = out.fh;
	return 0;
}

static void close_node(uint32_t opcode, uint64_t node, uint64_t fh)
{
	struct fuse_release_in in = { .fh = fh };

	kernel_ask(opcode, node, &(struct iovec)PART(in), 1, NULL);
}

int client_read(uint64_t node, uint8_t **data, size_t *len)
{
	struct fuse_read_in in = { .size = PIECE };
	struct kernel_reply r;
	uint64_t fh;
	int ret = open_node(FUSE_OPEN, node, O_RDONLY, &fh);

	*data = NULL;
	*len = 0;
	if (ret)
		return ret;
	in.fh = fh;
	for (;;) {
		in.offset = *len;
		ret = kernel_ask(FUSE_READ, node, &(struct iovec)PART(in), 1,
				 &r);
		if (ret || !r.len)
			break;
		*data = realloc(*data, *len + r.len);
		memcpy(*data + *len, r.data, r.len);
		*len += r.len;
	}
	close_node(FUSE_RELEASE, node, fh);
	return ret;
}

int client_readlink(uint64_t node, char **target)
{
	struct kernel_reply r;
	int ret = kernel_ask(FUSE_READLINK, node, NULL, 0, &r);

	*target = ret ? NULL : strndup((const char *)r.data, r.len);
	return ret;
}

int client_getxattr(uint64_t node, const char *name, uint8_t **value,
		    size_t *len)
{
	struct fuse_getxattr_in in = { .size = PIECE };
	struct iovec part[2] = { PART(in), NAME_PART(name) };
	struct kernel_reply r;
	int ret = kernel_ask(FUSE_GETXATTR, node, part, 2, &r);

	*value = NULL;
	*len = 0;
	if (ret)
		return ret;
	*value = malloc(r.len + 1);
	memcpy(*value, r.data, r.len);
	*len = r.len;
	return 0;
}

static void add_names(const struct kernel_reply *r, char **names, size_t *len,
		      uint64_t *off)
{
	size_t at = 0;

	while (at < r->len) {
		const struct fuse_dirent *d = (const void *)(r->data + at);

		*off = d->off;
		at += FUSE_DIRENT_SIZE(d);
		if (d->name[0] == '.' && d->namelen <= 2)
			continue;
		*names = realloc(*names, *len + d->namelen + 2);
		memcpy(*names + *len, d->name, d->namelen);
		*len += d->namelen;
		(*names)[(*len)++] = '\0';
		(*names)[*len] = '\0';
	}
}

int client_list(uint64_t dir, char **names)
{
	struct fuse_read_in in = { .size = PIECE };
	struct kernel_reply r;
	size_t len = 0;
	int ret = open_node(FUSE_OPENDIR, dir, O_RDONLY | O_DIRECTORY, &in.fh);

	*names = calloc(1, 1);
	if (ret)
		return ret;
	do {
		ret = kernel_ask(FUSE_READDIR, dir, &(struct iovec)PART(in), 1,
				 &r);
		if (!ret)
			add_names(&r, names, &len, &in.offset);
	} while (!ret && r.len);
	close_node(FUSE_RELEASEDIR, dir, in.fh);
	return ret;
}

/* --- changing ------------------------------------------------------------- */

/* The directory of a path, and its last part. Numbers are never forgotten. */
static uint64_t parent_of(const char *path, const char **last)
{
	uint64_t node = FUSE_ROOT_ID;
	struct fuse_entry_out e;
	char part[300];
	const char *slash;

	for (; (slash = strchr(path, '/')); path = slash + 1) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		must(!client_lookup(node, part, &e));
		node = e.nodeid;
	}
	*last = path;
	return node;
}

static uint64_t node_of(const char *path)
{
	struct fuse_entry_out e;
	const char *name;
	uint64_t dir = parent_of(path, &name);

	must(!client_lookup(dir, name, &e));
	return e.nodeid;
}

static uint64_t open_or_create(const char *path, uint64_t *fh)
{
	struct fuse_create_in in = { .flags = O_RDWR | O_CREAT,
				     .mode = S_IFREG | 0644 };
	struct fuse_entry_out e;
	struct fuse_open_out out;
	struct kernel_reply r;
	const char *name;
	uint64_t dir = parent_of(path, &name);
	struct iovec part[2] = { PART(in), NAME_PART(name) };

	if (!client_lookup(dir, name, &e)) {
		must(!open_node(FUSE_OPEN, e.nodeid, O_RDWR, fh));
		return e.nodeid;
	}
	must(!kernel_ask(FUSE_CREATE, dir, part, 2, &r));
	memcpy(&e, r.data, sizeof(e));
	memcpy(&out, r.data + sizeof(e), sizeof(out));
	*fh = out.fh;
	return e.nodeid;
}

static void write_open(uint64_t node, uint64_t fh, const uint8_t *data,
		       size_t len, uint64_t off)
{
	struct fuse_write_in in = { .fh = fh };

	while (len) {
		struct iovec part[2] = { PART(in), { (void *)data, 0 } };

		in.offset = off;
		in.size = len < PIECE ? (uint32_t)len : PIECE;
		part[1].iov_len = in.size;
		must(!kernel_ask(FUSE_WRITE, node, part, 2, NULL));
		off += in.size;
		data += in.size;
		len -= in.size;
	}
}

void client_write(const char *path, const void *data, size_t len, uint64_t off)
{
	uint64_t fh, node = open_or_create(path, &fh);

	write_open(node, fh, data, len, off);
	close_node(FUSE_RELEASE, node, fh);
}

void client_leave_open(const char *path, const void *data, size_t len,
		       uint64_t off)
{
	uint64_t node;
	struct fuse_fsync_in in = { 0 };

	node = open_or_create(path, &in.fh);
	write_open(node, in.fh, data, len, off);
	must(!kernel_ask(FUSE_FSYNC, node, &(struct iovec)PART(in), 1, NULL));
	write_open(node, in.fh, data, len, off + len);
}

void client_truncate(const char *path, uint64_t len)
{
	struct fuse_setattr_in in = { .valid = FATTR_SIZE, .size = len };

	must(!kernel_ask(FUSE_SETATTR, node_of(path), &(struct iovec)PART(in),
			 1, NULL));
}

void client_mkdir(const char *path)
{
	struct fuse_mkdir_in in = { .mode = 0755 };
	const char *name;
	uint64_t dir = parent_of(path, &name);
	struct iovec part[2] = { PART(in), NAME_PART(name) };

	must(!kernel_ask(FUSE_MKDIR, dir, part, 2, NULL));
}

void client_symlink(const char *target, const char *path)
{
	const char *name;
	uint64_t dir = parent_of(path, &name);
	struct iovec part[2] = { NAME_PART(name), NAME_PART(target) };

	must(!kernel_ask(FUSE_SYMLINK, dir, part, 2, NULL));
}

void client_link(const char *old, const char *path)
{
	struct fuse_link_in in = { node_of(old) };
	const char *name;
	uint64_t dir = parent_of(path, &name);
	struct iovec part[2] = { PART(in), NAME_PART(name) };

	must(!kernel_ask(FUSE_LINK, dir, part, 2, NULL));
}

void client_rename(const char *old, const char *path)
{
	const char *from, *to;
	uint64_t dir = parent_of(old, &from);
	struct fuse_rename_in in = { parent_of(path, &to) };
	struct iovec part[3] = { PART(in), NAME_PART(from), NAME_PART(to) };

	must(!kernel_ask(FUSE_RENAME, dir, part, 3, NULL));
}

void client_unlink(const char *path)
{
	const char *name;
	uint64_t dir = parent_of(path, &name);

	must(!kernel_ask(FUSE_UNLINK, dir, &(struct iovec)NAME_PART(name), 1,
			 NULL));
}

void client_setxattr(const char *path, const char *name, const char *value)
{
	struct fuse_setxattr_in in = { .size = (uint32_t)strlen(value) };
	struct iovec part[3] = { { &in, FUSE_COMPAT_SETXATTR_IN_SIZE },
				 NAME_PART(name),
				 { (void *)value, strlen(value) } };

	must(!kernel_ask(FUSE_SETXATTR, node_of(path), part, 3, NULL));
}
