/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * chaosimgfs: what its parts share.
 *
 *	main.c		the command: opening the archive, becoming a daemon
 *	mountpoint.c	which mount points are refused
 *	harden.c	keep keys and plaintext out of swap, dumps and debuggers
 *	options.c	the command line
 *	passphrase.c	asking for one
 *	session.c	the mount's life, signals, the end
 *	operations.c	what the kernel may ask for
 *	log.c		one line for each damaged object
 *	inode.c		the table of objects that the kernel knows
 *	evict.c		having the kernel forget some, before there are too many
 *	content.c	a regular file's contents, shared by its handles
 *	entry.c		names in a directory: look up, find, add
 *	lookup.c	lookup, forget, getattr, setattr, statfs
 *	create.c	create, mknod, mkdir, symlink, link
 *	remove.c	unlink, rmdir
 *	rename.c	rename
 *	dir.c		opendir, readdir, fsyncdir
 *	buffer.c	each thread's buffer
 *	file.c		open, read, write, flush, fsync, ..
 *	link.c		readlink
 *	xattr.c		extended attributes
 *
 * Functions return 0 or a negative errno value, as the library's do.
 */
#ifndef CHAOSIMGFS_FS_H
#define CHAOSIMGFS_FS_H

#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 14)

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include <fuse_lowlevel.h>

#include "chaosimg.h"

typedef uint8_t binding_t[CHAOSIMG_BINDING_SIZE];

/**
 * struct inode - an object that the kernel knows, or that is being worked on
 * @next: in the same bucket of the table
 * @refs: the kernel's lookups and our own uses; the table's lock
 * @dev: of the stored object
 * @ino: of the stored object
 * @generation: counts inodes, since one may get the address of an older one
 * @type: as in st_mode
 * @fd: O_PATH descriptor of the stored object, so its number cannot be reused
 * @stale: not found any more by its device and inode number; the table's lock
 * @lock: protects all that follows, except @entries; held while the contents
 *	are opened and closed, never while they are read or written
 * @handles: open handles
 * @mtime_known: @mtime is set
 * @binding_count: how many of @bindings there are
 * @id_known: @id and @place are set
 *
 * Regular files:
 * @file: the contents while @handles > 0
 * @writable: @file may be written
 * @size: what the kernel was told, while @file is NULL
 * @stored: the stored size that belongs to @size
 * @mtime: what a user set, or when the last write came. The library's own
 *	writes (sealing) change the stored mtime, so it is set again after them.
 * @unsynced_until: until then (CLOCK_MONOTONIC_COARSE, seconds) the file counts
 *	as one that was never synced, since it was closed as such
 * @bindings: of the names that lead here; either a single unchecked one, which
 *	opening checks, or all are known to be right
 *
 * Directories:
 * @entries: shared by those who add an entry, exclusive to remove the directory
 * @dead: removed; written under @entries
 * @id: valid if @id_known
 * @place: where it was found; not valid for the root
 */
struct inode {
	struct inode *next;
	uint64_t refs;
	dev_t dev;
	ino_t ino;
	uint64_t generation;
	mode_t type;
	int fd;
	bool stale;

	pthread_mutex_t lock;

	struct chaosimg_file *file;
	unsigned int handles;
	bool writable;
	bool mtime_known;
	uint64_t size;
	off_t stored;
	struct timespec mtime;
	time_t unsynced_until;
	unsigned int binding_count;
	binding_t *bindings;

	pthread_rwlock_t entries;
	bool dead;
	bool id_known;
	uint8_t id[CHAOSIMG_ID_SIZE];
	struct chaosimg_place place;
};

/**
 * struct mounted - the one archive that this process serves
 * @archive: the archive
 * @real: its real path, to shorten the paths of stored files
 * @data_fd: the encrypted tree's root
 * @proc_fd: /proc/self/fd, to reopen O_PATH descriptors
 * @readonly: nothing may be changed
 * @writeback: the kernel gathers writes
 * @root: the process runs as root
 * @timeout: how long the kernel may keep names and attributes, in seconds
 * @chunk_size: plaintext bytes in a chunk
 * @top: the inode of the mount's root
 * @long_names: held while entries with companions come and go
 */
struct mounted {
	struct chaosimg_archive *archive;
	char *real;
	int data_fd;
	int proc_fd;
	bool readonly;
	bool writeback;
	bool root;
	double timeout;
	uint32_t chunk_size;
	struct inode top;
	pthread_mutex_t long_names;
};

extern struct mounted fs;
extern const struct fuse_lowlevel_ops operations;

/* --- log.c --- */

/** log_open() - to syslog from now on, not to stderr */
void log_open(void);

/** log_line() - one line, without a newline */
void log_line(int priority, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * log_cause() - one line about a stored object
 * @fd: the object; or, if @name is given, the directory it stands in
 * @name: a stored name, or NULL
 * @cause: what is wrong, in one line
 *
 * The name is the stored one: what it stands for is a patient's, and does not
 * belong into a log. Repeated lines are left out for some seconds.
 */
void log_cause(int fd, const char *name, const char *cause);

/**
 * log_damage() - say which stored object is damaged, with chaosimg_errmsg()
 * @err: the library's negative error; those that are not damage are ignored
 * @fd: as for log_cause()
 * @name: as for log_cause()
 * Return: @err.
 */
int log_damage(int err, int fd, const char *name);

/* --- harden.c --- */

/** harden_process() - no dumps, no tracing, enough descriptors */
void harden_process(void);

/** harden_memory() - lock what is and will be mapped; after the last fork */
void harden_memory(void);

/* --- mountpoint.c --- */

/** mountpoint_check() - one line on stderr and -1 if it cannot be used */
int mountpoint_check(const char *archive, const char *mountpoint);

/* --- buffer.c --- */

/**
 * thread_buffer() - this thread's own buffer, at least @size bytes
 * @size: bytes wanted
 * Return: NULL without memory. It stays valid until the thread's next call.
 */
void *thread_buffer(size_t size);

/* --- inode.c --- */

/** inode_of() - the kernel's number of an object is its address here */
struct inode *inode_of(fuse_ino_t ino);

/** inode_number() - the other way round */
fuse_ino_t inode_number(const struct inode *in);

/** inodes_init() - make the table and the root */
int inodes_init(void);

/** inodes_end() - close every file that is still open, then free all */
void inodes_end(void);

/**
 * inode_get() - find or make the inode of a stored object, and take a reference
 * @fd: O_PATH descriptor, owned by this function also on failure
 * @out: receives the inode
 * @fresh: set if the inode was not there before
 */
int inode_get(int fd, struct inode **out, bool *fresh);

/** inode_hold() - one more reference */
void inode_hold(struct inode *in);

/** inode_put() - drop references; the last one frees */
void inode_put(struct inode *in, uint64_t count);

/** inode_retire() - let the next look-up make a new inode for the object */
void inode_retire(struct inode *in);

/** inode_reopen() - open what an inode stands for; negative error */
int inode_reopen(const struct inode *in, int flags);

/** inode_proc_path() - "/proc/self/fd/N" for calls that want a path */
void inode_proc_path(const struct inode *in, char path[32]);

/** inode_stat() - attributes as the kernel shall see them */
int inode_stat(struct inode *in, struct stat *st);

/** inode_count() - how many there are: each costs a descriptor */
size_t inode_count(void);

/** inode_unused() - is it there, and a file or link that nobody has open? */
bool inode_unused(dev_t dev, ino_t ino);

/** inode_each() - call @fn for each inode that matches */
void inode_each(bool (*match)(const struct inode *in),
		void (*fn)(struct inode *in));

/** inode_is_open() - and the like */
static inline bool inode_is_open(const struct inode *in)
{
	return in->handles;
}

static inline bool inode_is_dir(const struct inode *in)
{
	return S_ISDIR(in->type);
}

static inline bool inode_is_reg(const struct inode *in)
{
	return S_ISREG(in->type);
}

/* --- evict.c --- */

/** evict_start() - keep the number of inodes within that of descriptors */
int evict_start(struct fuse_session *se);

/** evict_stop() - end that; allowed if it was never started */
void evict_stop(void);

/** patient_open() - openat(2), which waits a little for a free descriptor */
int patient_open(int dirfd, const char *path, int flags, mode_t mode);

/** evict_wanted() - there are @count inodes now */
void evict_wanted(size_t count);

/** evict_due() - are there so many that the kernel should not hear of more? */
bool evict_due(void);

/** evict_catch_up() - after a reply: wait a moment if there are too many */
void evict_catch_up(void);

/* --- content.c --- */

/**
 * content_open() - open a regular file's contents, or use those that are open
 * @in: the file
 * @write: they will be changed
 * Return: 0; -ESTALE if the length is not what the kernel was told; -EIO.
 */
int content_open(struct inode *in, bool write);

/** content_adopt() - a new file's contents: its first handle */
void content_adopt(struct inode *in, struct chaosimg_file *f);

/** content_close() - drop a handle; the last one seals and closes */
int content_close(struct inode *in);

/** content_changed() - data was written: without write-back, mtime is now */
void content_changed(struct inode *in);

/** content_flush() - write and seal, keeping the mtime that was set */
int content_flush(struct inode *in);

/** content_sync() - the same, and onto the disk */
int content_sync(struct inode *in);

/** content_truncate() - open if need be, and set the length */
int content_truncate(struct inode *in, uint64_t length);

/** content_set_times() - utimensat(2), remembered while the file is open */
int content_set_times(struct inode *in, const struct timespec tv[2]);

/**
 * content_check_binding() - may the file stand under this name too?
 * @in: the file
 * @b: the name's binding
 * Return: 0; -EIO; -ESTALE if the name that led here first is the wrong one:
 * the inode is retired, look up again.
 */
int content_check_binding(struct inode *in, const binding_t b);

/** content_bind() - allow a further name, before it is made */
int content_bind(struct inode *in, const binding_t b);

/**
 * content_unbind() - a name is gone, or was not made after all
 * @in: the file
 * @b: the name's binding
 * @dir: where it was; NULL if it was not made
 * @other: another directory that changed with it, or NULL
 *
 * The directories are synced first if the file is durable: else a power cut
 * could bring back a name that the file's header no longer allows.
 */
void content_unbind(struct inode *in, const binding_t b,
		    const struct inode *dir, const struct inode *other);

/** content_name_gone() - a name was removed from @dir, or given to another */
void content_name_gone(struct inode *in, const binding_t b,
		       const struct inode *dir);

/* --- entry.c --- */

/** dir_id() - a directory's id; read when it is first needed */
int dir_id(struct inode *dir, uint8_t id[CHAOSIMG_ID_SIZE]);

/** entry_resolve() - the stored name of @name in @dir */
int entry_resolve(struct inode *dir, const char *name,
		  struct chaosimg_stored_name *sn);

/** entry_place() - the place that a directory has under this name */
void entry_place(const struct inode *dir, const struct chaosimg_stored_name *sn,
		 struct chaosimg_place *place);

/** entry_find() - the inode behind a stored name, with a reference */
int entry_find(struct inode *dir, const char *stored, const binding_t b,
	       struct inode **out);

/** entry_fill() - what the kernel is told of a look-up; takes no reference */
int entry_fill(struct inode *in, struct fuse_entry_param *e);

/**
 * entry_reply() - tell it, and hand over the reference
 * @req: the request
 * @err: what finding or making it returned; @in counts only if that is 0
 * @in: the inode
 */
void entry_reply(fuse_req_t req, int err, struct inode *in);

/** entry_temporary() - a random name that no entry has */
int entry_temporary(char name[CHAOSIMG_NAME_MAX + 1]);

/**
 * entry_lock() - before an entry is added: keep the directory from removal
 * @dir: the directory; entry_unlock() it afterwards
 * Return: 0, or -ENOENT if it has been removed.
 */
int entry_lock(struct inode *dir);
void entry_unlock(struct inode *dir);

/** entry_lock_names() - if one of the names has a companion; NULL is allowed */
bool entry_lock_names(const struct chaosimg_stored_name *a,
		      const struct chaosimg_stored_name *b);
void entry_unlock_names(bool locked);

/** dir_empty() - remove leftovers; -ENOTEMPTY if there is more than those */
int dir_empty(struct inode *dir);

/**
 * dir_discard() - remove an empty directory that stands under a stored name
 * @parent: the directory that it stands in
 * @stored: its name there
 * @dir: locked exclusively
 *
 * It disappears at once; a crash leaves at most a temporary entry.
 */
int dir_discard(struct inode *parent, const char *stored, struct inode *dir);

/** dir_made() - remember that a new directory's own entry is not durable yet */
void dir_made(struct inode *dir);

/** dirs_sync_two() - fsync(2) of one or two directories; NULL is allowed */
int dirs_sync_two(const struct inode *a, const struct inode *b);

/** dirs_sync() - make new directories durable, before what stands in them */
int dirs_sync(void);

/* --- operations, one file for each group --- */

void op_init(void *userdata, struct fuse_conn_info *conn);

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup);
void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *f);
void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		struct fuse_file_info *fi);
void op_statfs(fuse_req_t req, fuse_ino_t ino);

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	      dev_t rdev);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		const char *name);
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent,
	     const char *name);
void op_readlink(fuse_req_t req, fuse_ino_t ino);

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
	       fuse_ino_t newparent, const char *newname, unsigned int flags);

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi);
void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync,
		 struct fuse_file_info *fi);

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
	     struct fuse_file_info *fi);
void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size,
	      off_t off, struct fuse_file_info *fi);
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
	      struct fuse_file_info *fi);
void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off,
		  off_t len, struct fuse_file_info *fi);
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
	      struct fuse_file_info *fi);

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
		 const char *value, size_t size, int flags);
void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

#endif
