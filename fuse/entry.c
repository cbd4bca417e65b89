// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Entries of directories: from a name to what is stored, and what the
 * operations that add and remove entries have in common.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "chaosimg_ingest.h"
#include "fs.h"

/* So often a name is looked up while what it stands for changes. */
enum { FIND_TRIES = 3 };

static int load_id(struct inode *dir, const struct chaosimg_place *place,
		   uint8_t id[CHAOSIMG_ID_SIZE])
{
	int err = inode_use(dir);

	if (err)
		return err;
	err = chaosimg_dir_load(fs.archive, dir->fd, place, id);
	inode_done(dir);
	return err;
}

int dir_id(struct inode *dir, uint8_t id[CHAOSIMG_ID_SIZE])
{
	int err = 0;

	if (!inode_is_dir(dir))
		return -ENOTDIR;
	pthread_mutex_lock(&dir->lock);
	if (!dir->id_known) {
		err = load_id(dir, dir == &fs.top ? NULL : &dir->place,
			      dir->id);
		dir->id_known = !err;
	}
	if (!err)
		memcpy(id, dir->id, CHAOSIMG_ID_SIZE);
	pthread_mutex_unlock(&dir->lock);
	return err ? log_damage(err, dir, NULL) : 0;
}

int entry_resolve(struct inode *dir, const char *name,
		  struct chaosimg_stored_name *sn)
{
	uint8_t id[CHAOSIMG_ID_SIZE];
	int err = dir_id(dir, id);

	if (err)
		return err;
	if (fs.names)
		err = chaosimg_name_encrypt(fs.archive, id, name, sn);
	/* Its names may be under keys that are not held: an ingest mount's. */
	if (fs.names && err != -EACCES)
		return err;
	err = inode_use(dir);
	if (err)
		return err;
	err = chaosimg_name_find(fs.archive, id, dir->fd, name, sn);
	inode_done(dir);
	return log_damage(err, dir, NULL);
}

bool entry_reserved(const struct chaosimg_stored_name *sn)
{
	return chaosimg_ingest_reserved(sn->name);
}

/* The id is known: the name was made with it. */
void entry_place(const struct inode *dir, const struct chaosimg_stored_name *sn,
		 struct chaosimg_place *place)
{
	memcpy(place->parent, dir->id, sizeof(place->parent));
	memcpy(place->binding, sn->binding, sizeof(place->binding));
}

/* A directory found again at another place than before: is it at home there? */
static int check_place(struct inode *in, const struct chaosimg_place *place)
{
	uint8_t id[CHAOSIMG_ID_SIZE];
	int err = 0;

	pthread_mutex_lock(&in->lock);
	if (memcmp(&in->place, place, sizeof(*place))) {
		err = load_id(in, place, id);
		if (!err && in->id_known && memcmp(id, in->id, sizeof(id)))
			err = -ESTALE;
		if (!err)
			in->place = *place;
	}
	pthread_mutex_unlock(&in->lock);
	return err ? log_damage(err, in, NULL) : 0;
}

static int check_found(struct inode *dir, struct inode *in, const binding_t b,
		       bool fresh)
{
	struct chaosimg_place place;

	if (inode_is_reg(in))
		return content_check_binding(in, b);
	if (!inode_is_dir(in) || in == &fs.top)
		return 0;
	memcpy(place.parent, dir->id, sizeof(place.parent));
	memcpy(place.binding, b, sizeof(place.binding));
	if (!fresh)
		return check_place(in, &place);
	pthread_mutex_lock(&in->lock);
	in->place = place;
	pthread_mutex_unlock(&in->lock);
	return 0;
}

/*
 * Put there on the disk; or just renamed, from which the kernel keeps its own
 * lookups but not those of renew.c: then it will not be found there again.
 */
static int misplaced(struct inode *in, bool last)
{
	if (!last)
		return -ESTALE;
	log_cause(in, NULL, "stands under a name that is not its own");
	return -EIO;
}

/* No copy takes the name between the two looks at it. */
static int get_unlocked(struct inode *dir, const char *stored,
			struct inode **out, struct stat *st, bool *fresh)
{
	int err;

	pthread_rwlock_rdlock(&dir->entries);
	err = inode_get(dir->fd, stored, out, st, fresh);
	pthread_rwlock_unlock(&dir->entries);
	return err;
}

static int find(struct inode *dir, bool locked, const char *stored,
		const binding_t b, struct inode **out, struct stat *st)
{
	int err, tries = FIND_TRIES;
	bool fresh;

	do {
		err = locked ? inode_get(dir->fd, stored, out, st, &fresh) :
			       get_unlocked(dir, stored, out, st, &fresh);
		if (err)
			return err;
		err = check_found(dir, *out, b, fresh);
		if (err == -EXDEV)
			err = misplaced(*out, tries == 1);
		if (err) {
			inode_put(*out, 1);
			/* Callers that clean up shall not put it again. */
			*out = NULL;
		}
	} while (err == -ESTALE && --tries);
	return err;
}

int entry_find(struct inode *dir, const char *stored, const binding_t b,
	       struct inode **out, struct stat *st)
{
	struct stat unwanted;

	return find(dir, false, stored, b, out, st ? st : &unwanted);
}

int entry_find_locked(struct inode *dir, const char *stored, const binding_t b,
		      struct inode **out)
{
	struct stat unwanted;

	return find(dir, true, stored, b, out, &unwanted);
}

void entry_fill(struct inode *in, const struct stat *st,
		struct fuse_entry_param *e)
{
	memset(e, 0, sizeof(*e));
	e->ino = inode_number(in);
	e->generation = in->generation;
	e->attr_timeout = fs.timeout;
	e->entry_timeout = fs.timeout;
	e->attr = *st;
	inode_present(in, &e->attr);
}

void entry_reply(fuse_req_t req, int err, struct inode *in,
		 const struct stat *st)
{
	struct fuse_entry_param e;

	if (!err)
		entry_fill(in, st, &e);
	if (err)
		fuse_reply_err(req, -err);
	else if (fuse_reply_entry(req, &e) == -ENOENT)
		inode_put(in, 1);
	evict_catch_up();
}

int entry_holds(const struct inode *dir, const char *stored,
		const struct inode *in)
{
	struct stat st;

	if (!fstatat(dir->fd, stored, &st, AT_SYMLINK_NOFOLLOW))
		return st.st_dev == in->dev && st.st_ino == in->ino;
	return errno == ENOENT ? 0 : -errno;
}

int entry_temporary(char name[CHAOSIMG_NAME_MAX + 1])
{
	uint64_t r[2];

	if (getrandom(r, sizeof(r), 0) != sizeof(r))
		return -EIO;
	snprintf(name, CHAOSIMG_NAME_MAX + 1,
		 CHAOSIMG_TMP_PREFIX "%016llx%016llx",
		 (unsigned long long)r[0], (unsigned long long)r[1]);
	return 0;
}

int entry_lock(struct inode *dir)
{
	int err = inode_use(dir);

	if (err)
		return err;
	pthread_rwlock_rdlock(&dir->entries);
	if (!dir->dead)
		return 0;
	entry_unlock(dir);
	return -ENOENT;
}

void entry_unlock(struct inode *dir)
{
	pthread_rwlock_unlock(&dir->entries);
	inode_done(dir);
}

bool entry_lock_names(const struct chaosimg_stored_name *a,
		      const struct chaosimg_stored_name *b)
{
	if (!(a && a->companion[0]) && !(b && b->companion[0]))
		return false;
	pthread_mutex_lock(&fs.long_names);
	return true;
}

void entry_unlock_names(bool locked)
{
	if (locked)
		pthread_mutex_unlock(&fs.long_names);
}

/* --- removing directories ------------------------------------------------- */

static bool is_temporary(const char *stored)
{
	return !strncmp(stored, CHAOSIMG_TMP_PREFIX,
			strlen(CHAOSIMG_TMP_PREFIX));
}

/* What a crash left: a file, or a directory with nothing but its id. */
static int remove_leftover(int dirfd, const char *stored)
{
	int fd;

	if (!unlinkat(dirfd, stored, 0) || errno == ENOENT)
		return 0;
	fd = openat(dirfd, stored,
		    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -ENOTEMPTY;
	unlinkat(fd, CHAOSIMG_DIR_ENTRY, 0);
	close(fd);
	return unlinkat(dirfd, stored, AT_REMOVEDIR) ? -ENOTEMPTY : 0;
}

/*
 * Is it the library's own, left over? In a directory whose id is damaged
 * names mean nothing, and only temporary ones are known to be.
 */
static bool is_leftover(struct inode *dir, bool id_known, int dirfd,
			const char *stored)
{
	char name[CHAOSIMG_NAME_MAX + 1];

	if (is_temporary(stored))
		return true;
	return id_known && chaosimg_name_decrypt(fs.archive, dir->id, dirfd,
						 stored, name, NULL) == -ENOENT;
}

/* What cannot be read may be an entry: then the directory is not empty. */
static const struct dirent *next_entry(DIR *dp, int *err)
{
	const struct dirent *d;

	errno = 0;
	d = readdir(dp);
	if (!d)
		*err = -errno;
	return d;
}

/* Is there anything besides leftovers? With @remove, these go. */
static int scan(struct inode *dir, bool id_known, DIR *dp, bool remove)
{
	const struct dirent *d;
	int err = 0;

	rewinddir(dp);
	while (!err && (d = next_entry(dp, &err))) {
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, "..") ||
		    !strcmp(d->d_name, CHAOSIMG_DIR_ENTRY))
			continue;
		if (!is_leftover(dir, id_known, dirfd(dp), d->d_name))
			err = -ENOTEMPTY;
		else if (remove)
			err = remove_leftover(dirfd(dp), d->d_name);
	}
	return err;
}

/* Long names' companions look like leftovers until no entry is left. */
int dir_empty(struct inode *dir)
{
	uint8_t id[CHAOSIMG_ID_SIZE];
	bool known = !dir_id(dir, id);
	int fd, err;
	DIR *dp;

	fd = inode_reopen(dir, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd;
	dp = fdopendir(fd);
	if (!dp) {
		close(fd);
		return -ENOMEM;
	}
	err = scan(dir, known, dp, false);
	if (!err)
		err = scan(dir, known, dp, true);
	closedir(dp);
	return err;
}

/* Something came into it behind our back: make it usable again. */
static void put_back(struct inode *parent, const char *tmp, const char *stored,
		     struct inode *dir)
{
	int fd = inode_reopen(dir, O_RDONLY | O_DIRECTORY);

	if (fd >= 0) {
		if (dir->id_known)
			chaosimg_dir_bind(fs.archive, fd, dir->id, &dir->place,
					  NULL);
		close(fd);
	}
	renameat2(parent->fd, tmp, parent->fd, stored, RENAME_NOREPLACE);
}

int dir_discard(struct inode *parent, const char *stored, struct inode *dir)
{
	char tmp[CHAOSIMG_NAME_MAX + 1];
	int err = entry_temporary(tmp);

	if (err)
		return err;
	if (renameat(parent->fd, stored, parent->fd, tmp))
		return -errno;
	if (unlinkat(dir->fd, CHAOSIMG_DIR_ENTRY, 0) && errno != ENOENT)
		err = -errno;
	else if (unlinkat(parent->fd, tmp, AT_REMOVEDIR))
		err = -errno;
	if (err) {
		put_back(parent, tmp, stored, dir);
	} else {
		__atomic_store_n(&dir->dead, true, __ATOMIC_RELEASE);
		inode_keep(dir);
	}
	return err;
}

/* --- new directories, whose ids are not durable yet ----------------------- */

#define NEW_DIRS_MAX	64

struct new_dirs {
	struct inode *dir[NEW_DIRS_MAX];
	unsigned int count;
	bool more;
};

static struct new_dirs fresh;
static pthread_mutex_t fresh_lock = PTHREAD_MUTEX_INITIALIZER;
/* Held while they are synced: who comes second may depend on the first. */
static pthread_mutex_t sync_lock = PTHREAD_MUTEX_INITIALIZER;

void dir_made(struct inode *dir)
{
	pthread_mutex_lock(&fresh_lock);
	if (fresh.count < NEW_DIRS_MAX) {
		inode_hold(dir);
		fresh.dir[fresh.count++] = dir;
	} else {
		fresh.more = true;
	}
	pthread_mutex_unlock(&fresh_lock);
}

/* One that is removed meanwhile, without any lock of ours, needs no sync. */
static int sync_dir(struct inode *dir)
{
	int fd, err;

	if (__atomic_load_n(&dir->dead, __ATOMIC_ACQUIRE))
		return 0;
	fd = inode_reopen(dir, O_RDONLY | O_DIRECTORY);
	if (fd == -ESTALE || fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	err = TEMP_FAILURE_RETRY(fsync(fd)) ? -errno : 0;
	close(fd);
	return err;
}

int dirs_sync_two(struct inode *a, struct inode *b)
{
	int err = a ? sync_dir(a) : 0;

	if (!err && b && b != a)
		err = sync_dir(b);
	return err;
}

static int sync_each(const struct new_dirs *list)
{
	int err = list->more && TEMP_FAILURE_RETRY(syncfs(fs.data_fd)) ?
		  -errno : 0;
	unsigned int i;

	for (i = 0; i < list->count; i++) {
		if (!err && !list->more)
			err = sync_dir(list->dir[i]);
		inode_put(list->dir[i], 1);
	}
	return err;
}

int dirs_sync(void)
{
	struct new_dirs list;
	int err;

	pthread_mutex_lock(&sync_lock);
	pthread_mutex_lock(&fresh_lock);
	list = fresh;
	memset(&fresh, 0, sizeof(fresh));
	pthread_mutex_unlock(&fresh_lock);
	err = sync_each(&list);
	if (err) {
		pthread_mutex_lock(&fresh_lock);
		fresh.more = true;
		pthread_mutex_unlock(&fresh_lock);
	}
	pthread_mutex_unlock(&sync_lock);
	return err;
}
