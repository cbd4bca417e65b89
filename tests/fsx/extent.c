// SPDX-License-Identifier: GPL-2.0-or-later
/* What is done with the bytes of an open file, and with the model's. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/falloc.h>

#include "fsx.h"

enum { PAGE = 4096 };

static bool readable(const struct handle *h)
{
	return (h->flags & O_ACCMODE) != O_WRONLY;
}

static bool writable(const struct handle *h)
{
	return (h->flags & O_ACCMODE) != O_RDONLY;
}

void fill(uint8_t *p, size_t len, uint32_t seed)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15u | 1;

	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = (uint8_t)(x >> 56) | 1;
	}
}

void object_resize(struct object *o, uint32_t len)
{
	if (len < o->len)
		memset(o->data + len, 0, o->len - len);
	o->len = len;
}

static uint32_t there(const struct object *o, uint32_t off, uint32_t len)
{
	if (off >= o->len)
		return 0;
	return len < o->len - off ? len : o->len - off;
}

static void put(struct object *o, uint32_t off, const uint8_t *p, uint32_t len)
{
	memmove(o->data + off, p, len);
	if (off + len > o->len)
		o->len = off + len;
}

/* O_DIRECT wants aligned memory on some file systems. */
static uint8_t *buffer(void)
{
	static _Thread_local uint8_t *buf;

	if (!buf)
		buf = aligned_alloc(PAGE, (FILE_MAX / PAGE + 2) * PAGE);
	return buf;
}

bool do_read(struct world *w, struct handle *h, const struct op *op)
{
	uint32_t want = there(h->o, op->off, op->len);
	long n = pread(h->fd, buffer(), op->len, op->off);

	if (!readable(h))
		return expect(w, "pread", n < 0 ? -errno : n, -EBADF);
	return expect(w, "pread", n < 0 ? -errno : n, want) &&
	       compare(w, "pread", buffer(), h->o, op->off, want);
}

bool do_write(struct world *w, struct handle *h, const struct op *op)
{
	uint32_t off = h->flags & O_APPEND ? h->o->len : op->off;
	long n;

	if (op->len > FILE_MAX || off > FILE_MAX - op->len)
		return true;
	fill(buffer(), op->len, op->seed);
	n = pwrite(h->fd, buffer(), op->len, op->off);
	if (!expect(w, "pwrite", n < 0 ? -errno : n,
		    writable(h) ? (long)op->len : -EBADF))
		return false;
	if (n > 0)
		put(h->o, off, buffer(), n);
	return true;
}

bool do_ftruncate(struct world *w, struct handle *h, const struct op *op)
{
	int n = ftruncate(h->fd, op->off);

	if (!expect(w, "ftruncate", n ? -errno : 0,
		    writable(h) ? 0 : -EINVAL))
		return false;
	if (!n)
		object_resize(h->o, op->off);
	return true;
}

/* Mappings stay until they are unmapped, whatever happens to the file. */
static bool map_it(struct world *w, struct handle *h)
{
	void *p;

	if (h->map)
		return true;
	p = mmap(NULL, FILE_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, h->fd, 0);
	if (p == MAP_FAILED)
		return wrong(w, "mmap: %s", strerror(errno));
	h->map = p;
	return true;
}

static bool map_check(struct world *w, const struct handle *h,
		      const struct op *op)
{
	const struct object *o = h->o;
	uint32_t len = there(o, op->off, op->len);
	uint32_t end = (o->len + PAGE - 1) / PAGE * PAGE;

	if (!compare(w, "mapped", h->map + op->off, o, op->off, len))
		return false;
	/* Zeros between the file's end and the page's. */
	if (op->how % 2 || end > FILE_MAX)
		return true;
	return compare(w, "mapped, past the end", h->map + o->len, o, o->len,
		       end - o->len);
}

static bool map_change(struct world *w, const struct handle *h,
		       const struct op *op)
{
	uint32_t len = there(h->o, op->off, op->len);
	uint32_t from = op->off / PAGE * PAGE;

	fill(h->map + op->off, len, op->seed);
	memcpy(h->o->data + op->off, h->map + op->off, len);
	if (op->how % 4 || !len)
		return true;
	return expect(w, "msync", msync(h->map + from, op->off + len - from,
					op->how % 8 ? MS_ASYNC : MS_SYNC) ?
				  -errno : 0, 0);
}

bool do_map(struct world *w, struct handle *h, const struct op *op)
{
	if ((h->flags & O_ACCMODE) != O_RDWR || op->off >= h->o->len)
		return true;
	if (!map_it(w, h))
		return false;
	return op->type == OP_MAP_READ ? map_check(w, h, op) :
					 map_change(w, h, op);
}

static void model_zero(struct object *o, uint32_t off, uint32_t len, bool keep)
{
	if (!keep && off + len > o->len)
		o->len = off + len;
	len = there(o, off, len);
	memset(o->data + off, 0, len);
	if (settings.wrong_punch && len > 1)
		o->data[off] = 0x55;
}

bool do_allocate(struct world *w, struct handle *h, const struct op *op)
{
	static const int mode[] = {
		0, FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
		/* Nothing that FUSE has. */
		FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE,
		FALLOC_FL_UNSHARE_RANGE,
	};
	unsigned int i = op->how % (settings.fuse ? 9 : 6);
	int n;

	if (!op->len || op->len > FILE_MAX || op->off > FILE_MAX - op->len)
		return true;
	n = fallocate(h->fd, mode[i], op->off, op->len) ? -errno : 0;
	if (!writable(h))
		return expect(w, "fallocate", n, -EBADF);
	if (i > 5)
		return expect(w, "fallocate", n, -EOPNOTSUPP);
	if (!expect(w, "fallocate", n, 0))
		return false;
	if (i > 1)
		model_zero(h->o, op->off, op->len, i == 2 || i == 3 || i == 5);
	else if (!i && op->off + op->len > h->o->len)
		h->o->len = op->off + op->len;
	return true;
}

static long copy_wants(const struct handle *from, const struct handle *to,
		       const struct op *op)
{
	uint32_t n = there(from->o, op->off, op->len);

	if (!readable(from) || !writable(to) || to->flags & O_APPEND)
		return -EBADF;
	if (from->o == to->o && op->off2 + n > op->off &&
	    op->off2 < op->off + n)
		return -EINVAL;
	return n;
}

bool do_copy(struct world *w, struct handle *h, const struct op *op)
{
	struct handle *to = &w->handle[op->b % SLOTS];
	loff_t from_off = op->off, to_off = op->off2;
	long want, n;

	if (!to->o || op->len > FILE_MAX || op->off2 > FILE_MAX - op->len)
		return true;
	want = copy_wants(h, to, op);
	n = copy_file_range(h->fd, &from_off, to->fd, &to_off, op->len, 0);
	n = n < 0 ? -errno : n;
	/* Less may be copied, but not nothing. */
	if (want > 0 && n > 0 && n < want)
		want = n;
	if (!expect(w, "copy_file_range", n, want))
		return false;
	if (n > 0)
		put(to->o, op->off2, h->o->data + op->off, n);
	return true;
}

static bool all_zero(const struct object *o, uint32_t from, uint32_t to)
{
	for (; from < to; from++)
		if (o->data[from])
			return false;
	return true;
}

bool do_seek(struct world *w, struct handle *h, const struct op *op)
{
	const struct object *o = h->o;
	bool data = op->how % 2;
	long n = lseek(h->fd, op->off, data ? SEEK_DATA : SEEK_HOLE), end;

	n = n < 0 ? -errno : n;
	if (op->off >= o->len)
		return expect(w, "lseek", n, -ENXIO);
	if (data && n == -ENXIO)
		n = o->len;
	if (n < (long)op->off || n > (long)o->len)
		return wrong(w, "lseek: from %u to %ld of %u", op->off, n,
			     o->len);
	if (data && !all_zero(o, op->off, n))
		return wrong(w, "lseek: data before %ld was passed over", n);
	if (data || n == (long)o->len)
		return true;
	/* What is called a hole has to be one, up to the next data. */
	end = lseek(h->fd, n, SEEK_DATA);
	return all_zero(o, n, end < 0 ? o->len : (uint32_t)end) ||
	       wrong(w, "lseek: no hole at %ld", n);
}
