/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * chaosimgfs: what its parts share.
 *
 *	main.c		the command: opening the archive, becoming a daemon
 *	mountpoint.c	which mount points are refused, what is mounted there
 *	replace.c	taking another daemon's place
 *	harden.c	keep keys and plaintext out of swap, dumps and debuggers
 *	keeper.c	a second process that unmounts, and has no keys
 *	sandbox.c	giving up all other rights
 *	options.c	the command line
 *	passphrase.c	asking for one
 *	session.c	the mount's life, signals, the end
 *	device.c	what libfuse neither asks for nor passes on
 *	operations.c	what the kernel may ask for
 *	log.c		one line for each damaged object
 *	inode.c		the table of objects that the kernel knows
 *	descriptor.c	their descriptors: opened when they are used
 *	evict.c		having the kernel forget some, before there are too many
 *	content.c	a regular file's contents, shared by its handles
 *	lost.c		what the kernel failed to write back
 *	entry.c		names in a directory: look up, find, add
 *	lookup.c	lookup, forget, getattr, setattr, statfs
 *	create.c	create, mknod, mkdir, symlink, link
 *	remove.c	unlink, rmdir
 *	rename.c	rename
 *	dir.c		opendir, readdir, fsyncdir
 *	buffer.c	each thread's buffer
 *	file.c		open, read, write, flush, fsync, ..
 *	renew.c		new keysets, and moving files to them
 *	ingest.c	keys that are forgotten in time
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

#include "chaosimg_names.h"
#include "chaosimg_rekey.h"

typedef uint8_t binding_t[CHAOSIMG_BINDING_SIZE];

/* Enough for the file handles of ext4, XFS, btrfs and tmpfs. */
#define HANDLE_MAX	24

/**
 * struct handle - what a file system finds an object by
 * @type: the file system's own
 * @len: bytes of @bytes; 0 if there is no handle
 * @bytes: the file system's own; no later object ever has the same
 */
struct handle {
	int type;
	unsigned int len;
	uint8_t bytes[HANDLE_MAX];
};

/**
 * struct inode - an object that the kernel knows, or that is being worked on
 * @next: in the same bucket of the table
 * @older: with @newer, in the list of idle descriptors; descriptor.c's lock
 * @newer: see @older
 * @refs: the kernel's lookups and our own uses; the table's lock
 * @generation: counts inodes, since one may get the address of an older one
 * @dev: of the stored object
 * @ino: of the stored object
 * @handle: to open it by. Without one, @fd stays open, so that the object's
 *	number cannot be reused
 * @type: as in st_mode
 * @fd: O_PATH descriptor of the stored object; valid between inode_use() and
 *	inode_done(), and always if there is no handle; descriptor.c's lock
 * @users: how many are between these two; descriptor.c's lock
 * @idle: in the list of idle descriptors; descriptor.c's lock
 * @keep: @fd stays open until the inode goes; descriptor.c's lock
 * @stale: not found any more by its device and inode number; the table's lock
 * @binding_count: how many of @bindings there are
 * @writable: @file may be written
 * @mtime_known: @mtime is set
 * @dead: removed; written under @entries
 * @id_known: @id and @place are set
 * @placed: @file is held by clients, and place_take() knows of it
 * @lock: protects all that follows, the six flags and counts before it, but
 *	not @entries; held while the contents are opened and closed, never while
 *	they are read or written
 * @file: the contents while @handles > 0
 * @handles: open handles; those who only count may look without the lock
 *
 * Regular files:
 * @size: what the kernel was told, while @file is NULL
 * @stored: the stored size that belongs to @size
 * @stored_at: when the stored object had last changed then, in nanoseconds
 * @mtime: what a user set, or when the file was made or last written. The
 *	library's own writes (sealing) change the stored mtime, so it is set
 *	again after them.
 * @unsynced_until: until then (CLOCK_MONOTONIC_COARSE, seconds) the file counts
 *	as one that was never synced, since it was closed as such
 * @lost: what the kernel failed to write back and that was not written again
 *	since; mostly NULL
 * @bindings: of the names that lead here; either a single unchecked one, which
 *	opening checks, or all are known to be right
 * @binding: room for a single one
 *
 * Directories:
 * @entries: shared by those who look up, add or remove an entry, exclusive to
 *	remove the directory, or to put a copy in a file's place
 * @id: valid if @id_known
 * @place: where it was found; not valid for the root
 *
 * There is one for each object that the kernel remembers, so it is small.
 */
struct inode {
	struct inode *next;
	struct inode *older;
	struct inode *newer;
	uint64_t refs;
	uint64_t generation;
	dev_t dev;
	ino_t ino;
	struct handle handle;
	mode_t type;
	int fd;
	unsigned int users;
	bool idle;
	bool keep;
	bool stale;

	uint8_t binding_count;
	bool writable;
	bool mtime_known;
	bool dead;
	bool id_known;
	bool placed;
	pthread_mutex_t lock;
	struct chaosimg_file *file;
	_Atomic unsigned int handles;
	union {
		struct {
			uint64_t size;
			off_t stored;
			int64_t stored_at;
			struct timespec mtime;
			time_t unsynced_until;
			struct lost *lost;
			binding_t *bindings;
			binding_t binding;
		};
		struct {
			pthread_rwlock_t entries;
			uint8_t id[CHAOSIMG_ID_SIZE];
			struct chaosimg_place place;
		};
	};
};

/**
 * struct mounted - the one archive that this process serves
 * @archive: the archive
 * @real: its real path, to shorten the paths of stored files
 * @data_fd: the encrypted tree's root
 * @proc_fd: /proc/self/fd, to reopen O_PATH descriptors
 * @readonly: nothing may be changed
 * @ingest: it has public parameters only, and keys that it drew
 * @names: there are keys for names, links and attributes; without, the first
 *	two are shown as they are stored
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
	bool ingest;
	bool names;
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

/** log_often() - a line that may come again and again, every few seconds */
void log_often(int priority, const char *line);

/**
 * log_cause() - one line about a stored object
 * @in: the object; or, if @name is given, the directory it stands in
 * @name: a stored name, or NULL
 * @cause: what is wrong, in one line
 *
 * The name is the stored one: what it stands for is a patient's, and does not
 * belong into a log. Repeated lines are left out for some seconds.
 */
void log_cause(struct inode *in, const char *name, const char *cause);

/** log_note_held() - for chaosimg_archive_on_held(); see log_held() */
void log_note_held(void *ctx, int fd, bool all, const char *what);

/**
 * log_held() - say that a file's pixels were held back, and why
 * @in: a file that may just have been sealed in this thread
 */
void log_held(struct inode *in);

/** is_damage() - Return: what log_damage() says something of */
bool is_damage(int err);

/**
 * log_damage() - say which stored object is damaged, with chaosimg_errmsg()
 * @err: the library's negative error; those that are not damage are ignored
 * @in: as for log_cause()
 * @name: as for log_cause()
 * Return: @err.
 */
int log_damage(int err, struct inode *in, const char *name);

/* --- harden.c --- */

/** harden_process() - no dumps, no tracing, enough descriptors */
void harden_process(void);

/** harden_memory() - lock what is and will be mapped; after the last fork */
void harden_memory(void);

/* --- keeper.c --- */

/**
 * keeper_start() - fork it off, before there are keys
 * @mountpoint: what it may unmount; stays valid
 * @daemon: it shall log to syslog, and hold nothing of the caller's
 */
int keeper_start(const char *mountpoint, bool daemon);

/** keeper_none() - without one this process unmounts @mountpoint itself */
void keeper_none(const char *mountpoint);

/** keeper_mounted() - if this process dies from now on, it says so, and aborts */
void keeper_mounted(void);

/**
 * keeper_unmount() - unmount, and wait until that is done
 * @detach: also while the mount is used
 * Return: 0 or a negative error.
 */
int keeper_unmount(bool detach);

/** keeper_detach_dead() - unmount what a daemon that died has left there */
int keeper_detach_dead(void);

/** keeper_forbidden() - have a refused system call logged; signal-safe */
void keeper_forbidden(int number);

/** keeper_end() - it is not needed any more; allowed if it was never started */
void keeper_end(void);

/* --- sandbox.c --- */

/**
 * sandbox_enter() - give up rights, of this thread and those it starts
 * @kernel_cipher: the kernel's cipher is used
 * Return: 0; -1 after a line in the log.
 */
int sandbox_enter(bool kernel_cipher);

/* --- mountpoint.c --- */

/** mountpoint_check() - one line on stderr and -1 if it cannot be used */
int mountpoint_check(const char *archive, const char *mountpoint);

/**
 * mountpoint_device() - the device number of what is mounted there
 * @mountpoint: where
 * @dev: the number
 *
 * Without a request to the mount: who waits for its own process's answer cannot
 * be killed.
 *
 * Return: false if there is none.
 */
bool mountpoint_device(const char *mountpoint, dev_t *dev);

/* --- replace.c --- */

/** replace_check() - -1, and a line on stderr, if it is not mounted there */
int replace_check(const char *archive, const char *mountpoint);

/**
 * replace_mounted() - unmount it, unless it is used: then -1 and a line. One
 * whose daemon is dead is left to replace_detach_dead().
 * @archive: its path
 * @mountpoint: where it is mounted
 */
int replace_mounted(const char *archive, const char *mountpoint);

/** replace_dead() - did the daemon that served it there die? */
bool replace_dead(const char *archive, const char *mountpoint);

/**
 * replace_detach_dead() - take away the mounts that dead daemons have left
 * @archive: whose
 * @mountpoint: where
 * Return: 0, also if there are none; -1 after a line on stderr.
 */
int replace_detach_dead(const char *archive, const char *mountpoint);

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
 * @dirfd: the directory it is in
 * @name: its stored name there; or "", if @dirfd is the object itself
 * @out: receives the inode
 * @st: receives its stored attributes
 * @fresh: set if the inode was not there before
 */
int inode_get(int dirfd, const char *name, struct inode **out, struct stat *st,
	      bool *fresh);

/** inode_hold() - one more reference */
void inode_hold(struct inode *in);

/** inode_put() - drop references; the last one frees */
void inode_put(struct inode *in, uint64_t count);

/** inode_retire() - let the next look-up make a new inode for the object */
void inode_retire(struct inode *in);

/**
 * inode_change_begin() - before attributes are changed: use and lock it
 * @in: the inode; inode_change_end() afterwards
 * Return: 0; -ESTALE if it stands for another object by now.
 */
int inode_change_begin(struct inode *in);
void inode_change_end(struct inode *in);

/** inode_stat() - attributes as the kernel shall see them */
int inode_stat(struct inode *in, struct stat *st);

/** inode_present() - turn stored attributes into those */
void inode_present(struct inode *in, struct stat *st);

/** inode_count() - how many there are */
size_t inode_count(void);

/**
 * inode_old() - the kernel's numbers of inodes that may well be forgotten
 * @spare: none of those that came last, so many
 * @at: where in the table to go on; 0 at first
 * @out: receives at most @max of them
 * @max: room in @out
 * Return: how many; 0 at the table's end.
 */
size_t inode_old(size_t spare, size_t *at, fuse_ino_t *out, size_t max);

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

/* --- descriptor.c --- */

/** handles_init() - find out whether there are file handles; before any inode */
void handles_init(void);

/** handles_work() - are there? */
bool handles_work(void);

/**
 * handle_get() - the handle of a stored object
 * @dirfd: the directory it is in
 * @name: its stored name there; or "", if @dirfd is the object itself
 * @out: receives it; its length is 0 where there are no handles
 */
int handle_get(int dirfd, const char *name, struct handle *out);

/**
 * place_take() - before clients hold descriptors, for as long as they like
 * @count: how many
 * Return: 0, or -ENFILE, once a line in the log: what is left is for all that
 * needs them for a moment only.
 */
int place_take(unsigned int count);

/** place_give() - they are closed, or were not opened */
void place_give(unsigned int count);

/** inode_use() - have @in->fd open; inode_done() afterwards */
int inode_use(struct inode *in);
void inode_done(struct inode *in);

/** inode_keep() - of one in use: it loses its name, but is still known */
void inode_keep(struct inode *in);

/** inode_close() - close its descriptor: nobody uses the inode any more */
void inode_close(struct inode *in);

/** inode_reopen() - open what an inode stands for; negative error */
int inode_reopen(struct inode *in, int flags);

/** inode_proc_path() - of one in use: a path for calls that want one */
void inode_proc_path(const struct inode *in, char path[32]);

/* --- evict.c --- */

/** evict_start() - keep the number of inodes within bounds */
int evict_start(struct fuse_session *se);

/** evict_stop() - end that; allowed if it was never started */
void evict_stop(void);

/** patience() - after EMFILE: wait a little, and say if there is hope */
bool patience(int tries);

/** patient_open() - openat(2), which waits a little for a free descriptor */
int patient_open(int dirfd, const char *path, int flags, mode_t mode);

/** evict_wanted() - there are more inodes now, or more that are not open */
void evict_wanted(void);

/** evict_due() - are there so many that the kernel should not hear of more? */
bool evict_due(void);

/** evict_catch_up() - after a reply: wait a moment if there are too many */
void evict_catch_up(void);

/* --- lost.c --- */

/** lost_add() - a write failed of what the kernel had gathered */
void lost_add(struct inode *in, uint64_t from, uint64_t to);

/** lost_remove() - bytes were written, or cut off */
void lost_remove(struct inode *in, uint64_t from, uint64_t to);

/** lost_forget() - [in->lock] the file is closed */
void lost_forget(struct inode *in);

/** lost_check() - before a sync succeeds: 0, or -EIO and a line in the log */
int lost_check(struct inode *in);

/* --- content.c --- */

/** content_length() - of a file with these stored attributes; in plaintext bytes */
uint64_t content_length(struct inode *in, const struct stat *st);

/**
 * content_open() - open a regular file's contents, or use those that are open
 * @in: the file
 * @write: they will be changed
 * Return: 0; -ESTALE if the length is not what the kernel was told; -ENFILE if
 * clients hold as many as they may; -EIO.
 */
int content_open(struct inode *in, bool write);

/** content_use() - the same to change it, not for longer than one request */
int content_use(struct inode *in);

/**
 * content_renewal() - begin to move a file to the newest keyset
 * @in: the file
 * @dir: the directory it is in; in use
 * @out: receives it
 * Return: 0; -EBUSY if the file is open; as chaosimg_renewal_begin().
 */
int content_renewal(struct inode *in, struct inode *dir,
		    struct chaosimg_renewal **out);

/**
 * content_adopt() - a new file's contents: its first handle
 * @in: the file
 * @f: its contents
 * @st: attributes as the kernel will be told
 *
 * A place was taken for it.
 */
void content_adopt(struct inode *in, struct chaosimg_file *f,
		   const struct stat *st);

/** content_count() - Return: how many files are open. */
size_t content_count(void);

/** content_close() - drop a handle; the last one seals and closes */
int content_close(struct inode *in);

/** content_changed() - data was written: without write-back, mtime is now */
void content_changed(struct inode *in);

/** content_flush() - write and seal, keeping the mtime that was set */
int content_flush(struct inode *in);

/** content_sync() - the same, and onto the disk; -EIO if something was lost */
int content_sync(struct inode *in);

/** content_drop_suidgid() - before a change: if this request asks for it */
int content_drop_suidgid(struct inode *in);

/** content_cut() - the file was cut or made longer: there is nothing beyond */
void content_cut(struct inode *in, uint64_t length);

/** content_truncate() - open if need be, and set the length */
int content_truncate(struct inode *in, uint64_t length);

/** content_set_times() - utimensat(2), remembered while the file is open */
int content_set_times(struct inode *in, const struct timespec tv[2]);

/**
 * content_check_binding() - may the file stand under this name too?
 * @in: the file
 * @b: the name's binding
 * Return: 0; -EXDEV if not, as it was put there, or as it was just given another
 * name; -EIO; -ESTALE if the name that led here first is the wrong one: the
 * inode is retired, look up again.
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
		    struct inode *dir, struct inode *other);

/**
 * content_name_gone() - a name was removed from @dir, or given to another
 * @in: what had it, and need not be a regular file; in use
 * @b: the name's binding
 * @dir: the directory
 */
void content_name_gone(struct inode *in, const binding_t b,
		       struct inode *dir);

/* --- entry.c --- */

/** dir_id() - a directory's id; read when it is first needed */
int dir_id(struct inode *dir, uint8_t id[CHAOSIMG_ID_SIZE]);

/** entry_resolve() - the stored name of @name in @dir */
int entry_resolve(struct inode *dir, const char *name,
		  struct chaosimg_stored_name *sn);

/** entry_reserved() - is it an ingest mount's root, which nobody else makes? */
bool entry_reserved(const struct chaosimg_stored_name *sn);

/** entry_place() - the place that a directory has under this name */
void entry_place(const struct inode *dir, const struct chaosimg_stored_name *sn,
		 struct chaosimg_place *place);

/**
 * entry_find() - the inode behind a stored name, with a reference
 * @dir: the directory, in use
 * @stored: the stored name
 * @b: its binding
 * @out: receives the inode
 * @st: receives the stored attributes; NULL if they are not wanted
 */
int entry_find(struct inode *dir, const char *stored, const binding_t b,
	       struct inode **out, struct stat *st);

/** entry_find_locked() - the same after entry_lock() */
int entry_find_locked(struct inode *dir, const char *stored, const binding_t b,
		      struct inode **out);

/**
 * entry_fill() - what the kernel is told of a look-up; takes no reference
 * @in: what was found
 * @st: its stored attributes
 * @e: receives it
 */
void entry_fill(struct inode *in, const struct stat *st,
		struct fuse_entry_param *e);

/**
 * entry_reply() - tell it, and hand over the reference
 * @req: the request
 * @err: what finding or making it returned; the others count only if that is 0
 * @in: the inode
 * @st: its stored attributes
 */
void entry_reply(fuse_req_t req, int err, struct inode *in,
		 const struct stat *st);

/**
 * entry_holds() - does a stored name stand for this object?
 * @dir: the directory, in use
 * @stored: the name
 * @in: the object
 * Return: 1; 0; or an error if that cannot be told. To be asked after a call
 * that failed: it may have been done all the same.
 */
int entry_holds(const struct inode *dir, const char *stored,
		const struct inode *in);

/** entry_temporary() - a random name that no entry has */
int entry_temporary(char name[CHAOSIMG_NAME_MAX + 1]);

/**
 * entry_lock() - use a directory, and keep it from removal: to add an entry
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
 * @parent: the directory that it stands in, in use
 * @stored: its name there
 * @dir: in use, and locked exclusively
 *
 * It disappears at once; a crash leaves at most a temporary entry.
 */
int dir_discard(struct inode *parent, const char *stored, struct inode *dir);

/** dir_made() - remember that a directory's entries are not durable yet */
void dir_made(struct inode *dir);

/** dirs_sync_two() - fsync(2) of one or two directories; NULL is allowed */
int dirs_sync_two(struct inode *a, struct inode *b);

/** dirs_sync() - make new directories durable, before what stands in them */
int dirs_sync(void);

/* --- renew.c --- */

struct renewing;

/** renew_notice() - before a file is made: is there a new keyset? */
void renew_notice(void);

/**
 * renew_step() - move a file to the newest keyset, piece by piece
 * @dir: the directory it is in
 * @r: what is half-done there, or NULL
 * @what: the file
 * Return: bytes that were copied; 0 when it has moved; -EBUSY if it is open;
 * -EAGAIN if it was changed meanwhile; as the library's functions.
 */
int renew_step(struct inode *dir, struct renewing **r,
	       const struct chaosimgfs_renew *what);

/** renew_end() - give up what is half-done; NULL is allowed */
void renew_end(struct renewing *r);

/** dir_renew() - the same with what an open directory remembers; in dir.c */
int dir_renew(struct inode *dir, struct fuse_file_info *fi,
	      const struct chaosimgfs_renew *what);

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

void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
	      struct fuse_file_info *fi, unsigned int flags, const void *in_buf,
	      size_t in_size, size_t out_size);

/* --- ingest.c --- */

/** ingest_start() - begin to forget keysets, in a thread. Return: 0 or -1 */
int ingest_start(void);

/** ingest_stop() - end that; allowed if it was never started */
void ingest_stop(void);

#endif
