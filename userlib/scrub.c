// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Scrubbing an archive without a key: the configuration, the keysets, the rules,
 * and the walk through the encrypted tree.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "config_file.h"
#include "config_json.h"
#include "error.h"
#include "hex.h"
#include "names.h"
#include "rules.h"
#include "scrub.h"

#define DATA		"data"
#define KEYSETS		"keysets"
#define SUFFIX		".json"
#define SUFFIX_NEW	".json.new"

/* Was it looked at already, since it was damaged the last time? */
static bool is_again(const struct check *c, const char *path)
{
	const char *const *p = c->p->again;

	while (p && *p && strcmp(*p, path))
		p++;
	return p && *p;
}

int scrub_found(struct check *c, struct check_task *t, const char *what,
		int64_t record, uint64_t offset, uint64_t records)
{
	char *path = check_path(t->dir, t->name);
	struct chaosimg_finding f = {
		.path = path, .what = what, .record = record, .offset = offset,
		.records = records,
	};

	if (!path)
		return fail(ENOMEM, "out of memory");
	if (((struct scrub *)c->ctx)->looking_again || !is_again(c, path))
		check_found(c, &t->totals, &f);
	free(path);
	return 0;
}

static bool is_own(const struct check_task *t)
{
	return strcmp(t->name, ".") &&
	       name_check_form(t->dir->fd, t->name) == -ENOENT;
}

static int run_task(struct check *c, struct check_task *t)
{
	int err;

	if (check_is_temporary(t->name))
		t->totals.temporary++;
	if (is_own(t))
		return 0;
	err = scrub_form(c, t);

	if (err)
		return err;
	if (S_ISREG(t->type))
		return scrub_file(c, t);
	if (S_ISDIR(t->type))
		t->totals.directories++;
	else if (S_ISLNK(t->type))
		t->totals.links++;
	else
		t->totals.others++;
	return 0;
}

/* --- configuration and keysets --- */

static void found_text(struct check *c, struct chaosimg_check_totals *totals,
		       const char *path, const char *what)
{
	struct chaosimg_finding f = {
		.path = path, .what = what, .record = -1
	};

	check_found(c, totals, &f);
}

static int check_keyset_text(const struct scrub *s, const char *name,
			     const char *where, const char *text, size_t len)
{
	uint8_t id[CHAOSIMG_ID_SIZE], archive[CHAOSIMG_ID_SIZE];
	char hex[2 * CHAOSIMG_ID_SIZE + 1];
	struct json_object *root;
	int err = config_check(text, len, where, "chaosimg-keyset", "keyset", 1,
			       &root);

	if (err)
		return err;
	err = config_json_hex(root, where, "id", id, sizeof(id));
	if (!err)
		err = config_json_hex(root, where, "archive_id", archive,
				      sizeof(archive));
	json_object_put(root);
	if (err)
		return err;
	hex_encode(id, sizeof(id), hex);
	if (strncmp(name, hex, strlen(hex)))
		return fail(EBADMSG, "%s: holds another keyset", where);
	if (s->chunk_size && memcmp(archive, s->id, sizeof(archive)))
		return fail(EBADMSG, "%s: belongs to another archive", where);
	return 0;
}

static int check_keyset(struct check *c, int fd, const char *name,
			struct chaosimg_check_totals *totals)
{
	char where[64 + CHAOSIMG_NAME_MAX], *text = NULL;
	size_t len;
	int err;

	snprintf(where, sizeof(where), KEYSETS "/%s", name);
	err = config_file_read(fd, name, where, &text, &len);
	if (err == -ENOENT)
		err = fail(ENOENT, "%s: missing", where);
	if (!err)
		err = check_keyset_text(c->ctx, name, where, text, len);
	free(text);
	if (err == -ENOMEM)
		return err;
	if (err)
		found_text(c, totals, where, check_cause(where));
	return 0;
}

/* Those that the configuration lists have to be there. */
static int check_listed(struct check *c, int fd, const struct config *cfg,
			struct chaosimg_check_totals *totals)
{
	char name[2 * CHAOSIMG_ID_SIZE + sizeof(SUFFIX)];
	int err = 0;

	for (uint32_t i = 0; !err && i < cfg->keysets; i++) {
		keyset_name(cfg->keyset[i], name);
		if (faccessat(fd, name, F_OK, AT_SYMLINK_NOFOLLOW))
			err = check_keyset(c, fd, name, totals);
	}
	return err;
}

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n >= m && !strcmp(name + n - m, end);
}

static int check_keysets(struct check *c, int archive_fd,
			 const struct config *cfg,
			 struct chaosimg_check_totals *totals)
{
	int fd = openat(archive_fd, KEYSETS,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct check_list l;
	int err;

	if (fd < 0) {
		found_text(c, totals, KEYSETS, strerror(errno));
		return 0;
	}
	err = check_list_read(fd, &l);
	for (size_t i = 0; !err && i < l.count; i++)
		if (!ends_with(l.entry[i].name, SUFFIX_NEW))
			err = check_keyset(c, fd, l.entry[i].name, totals);
	if (!err && cfg)
		err = check_listed(c, fd, cfg, totals);
	check_list_free(&l);
	close(fd);
	return err;
}

static int check_rules(struct check *c, int fd,
		       struct chaosimg_check_totals *totals)
{
	int err = rules_file_check(fd, RULES_FILE);

	if (err == -ENOMEM)
		return err;
	if (err && err != -ENOENT)
		found_text(c, totals, RULES_FILE, check_cause(RULES_FILE));
	return 0;
}

static int check_keys(struct check *c, int fd, const char *path,
		      struct chaosimg_check_totals *totals)
{
	struct scrub *s = c->ctx;
	char where[256];
	struct config *cfg = NULL;
	int err = config_load(fd, path, &cfg);

	snprintf(where, sizeof(where), "%.230s/" CONFIG_NAME, path);
	if (err == -ENOMEM)
		return err;
	if (err) {
		found_text(c, totals, CONFIG_NAME, check_cause(where));
	} else {
		s->chunk_size = cfg->chunk_size;
		memcpy(s->id, cfg->id, sizeof(s->id));
	}
	err = check_keysets(c, fd, cfg, totals);
	free(cfg);
	return err ? err : check_rules(c, fd, totals);
}

/* --- the walk --- */

/*
 * A part of @from, the path where an earlier run stopped, below the directory
 * that is being walked; NULL: everything is to be done.
 */
static int compare_part(const char *name, const char *from)
{
	size_t len = strcspn(from, "/");
	int d = strncmp(name, from, len);

	return d ? d : (int)(unsigned char)name[len];
}

static bool is_fatal(int err)
{
	return err == -ENOMEM || err == -EMFILE || err == -ENFILE;
}

/* Something in the way of the walk itself. */
static int walk_found(struct check *c, const char *path, int err)
{
	struct chaosimg_check_totals totals = { 0 };

	if (is_fatal(err))
		return err;
	if (!is_again(c, path))
		found_text(c, &totals, path, check_cause(path));
	check_add(c, &totals);
	return 0;
}

static int walk(struct check *c, struct check_dir *dir, const char *from);

static int walk_below(struct check *c, struct check_dir *dir, const char *name,
		      const char *from)
{
	struct check_dir *below;
	int err = check_dir_open(dir, dir->fd, name, &below);
	char *path;

	if (!err) {
		err = walk(c, below, from);
		check_dir_put(below);
		return err;
	}
	if (err == -ENOENT || err == -ENOTDIR)
		return 0;
	path = check_path(dir, name);
	err = path ? walk_found(c, path, err) : -ENOMEM;
	free(path);
	return err;
}

static int walk_entry(struct check *c, struct check_dir *dir,
		      const struct check_entry *e, const char *from)
{
	if (!S_ISDIR(e->type) ||
	    name_check_form(dir->fd, e->name) == -ENOENT)
		return check_push(c, check_task_new(dir, e->name, e->type));
	return walk_below(c, dir, e->name, from);
}

static int walk_list(struct check *c, struct check_dir *dir,
		     const struct check_list *l, const char *from)
{
	int err = 0;

	for (size_t i = 0; !err && i < l->count; i++) {
		const struct check_entry *e = &l->entry[i];
		int d = from ? compare_part(e->name, from) : 1;
		const char *rest = NULL;

		if (d < 0 || !e->type)
			continue;
		if (!d) {
			rest = from + strcspn(from, "/");
			rest = *rest ? rest + 1 : NULL;
		}
		err = walk_entry(c, dir, e, rest);
	}
	return err;
}

static int walk(struct check *c, struct check_dir *dir, const char *from)
{
	struct check_list l;
	int err = from ? 0 :
		  check_push(c, check_task_new(dir, ".", S_IFDIR));

	if (err)
		return err;
	err = check_list_read(dir->fd, &l);
	if (err)
		return walk_found(c, dir->path, err);
	err = walk_list(c, dir, &l, from);
	check_list_free(&l);
	return err;
}

/* --- what was damaged the last time --- */

static int look_again_at(struct check *c, struct check_dir *dir,
			 const char *name)
{
	struct chaosimg_check_totals counted = { 0 };
	struct check_task t = { .dir = dir };
	struct stat st;
	int err;

	if (strlen(name) > CHAOSIMG_NAME_MAX ||
	    fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	strcpy(t.name, name);
	t.type = st.st_mode & S_IFMT;
	err = run_task(c, &t);
	/* The walk counts it, or has. */
	counted.problems = t.totals.problems;
	check_add(c, &counted);
	return err;
}

static int descend(struct check *c, struct check_dir *dir, char *rest)
{
	char *slash = rest ? strchr(rest, '/') : NULL;
	struct check_dir *below;
	struct stat st;
	int err;

	if (!rest || !*rest)
		return look_again_at(c, dir, ".");
	if (slash)
		*slash = '\0';
	if (!strcmp(rest, "..") || !strcmp(rest, ".") ||
	    fstatat(dir->fd, rest, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (!S_ISDIR(st.st_mode))
		return slash ? 0 : look_again_at(c, dir, rest);
	err = check_dir_open(dir, dir->fd, rest, &below);
	if (err)
		return is_fatal(err) ? err : 0;
	err = descend(c, below, slash ? slash + 1 : NULL);
	check_dir_put(below);
	return err;
}

static int look_again(struct check *c, struct check_dir *root)
{
	struct scrub *s = c->ctx;
	int err = 0;

	s->looking_again = true;
	for (const char *const *p = c->p->again; !err && p && *p; p++) {
		char *copy;

		/* The configuration and the keysets are looked at anyway. */
		if (strncmp(*p, DATA "/", sizeof(DATA)) && strcmp(*p, DATA))
			continue;
		copy = strdup(*p);
		if (!copy)
			return fail(ENOMEM, "out of memory");
		err = descend(c, root, strchr(copy, '/') ?
			      strchr(copy, '/') + 1 : NULL);
		free(copy);
	}
	s->looking_again = false;
	return err;
}

/* --- all of it --- */

static int scrub_tree(struct check *c, struct check_dir *root)
{
	const char *from = c->p->from;
	int err = look_again(c, root);

	if (!err && c->p->progress)
		err = check_count(c, root->fd);
	if (err)
		return err;
	/* "data" alone is where the walk begins. */
	if (from && !strncmp(from, DATA "/", sizeof(DATA)))
		return walk(c, root, from + sizeof(DATA));
	return walk(c, root, NULL);
}

static int scrub_opened(int fd, const char *path,
			const struct chaosimg_check_params *params,
			struct chaosimg_check_totals *totals)
{
	struct chaosimg_check_totals keys = { 0 };
	struct scrub s = { 0 };
	struct check_dir *root;
	struct check c;
	int err = check_dir_open(NULL, fd, DATA, &root);

	if (err == -ENOENT || err == -ENOTDIR || err == -ELOOP)
		return fail(EBADMSG, "%s: not a chaosimg archive: there is no "
			    DATA, path);
	if (err)
		return err;
	err = check_begin(&c, params, run_task, &s);
	if (!err) {
		err = check_keys(&c, fd, path, &keys);
		check_add(&c, &keys);
		if (!err)
			err = scrub_tree(&c, root);
		err = check_end(&c, err, totals);
	}
	check_dir_put(root);
	return err;
}

int chaosimg_scrub(const char *path, const struct chaosimg_check_params *params,
		   struct chaosimg_check_totals *totals)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;

	memset(totals, 0, sizeof(*totals));
	if (fd < 0)
		return fail_errno("%s", path);
	err = scrub_opened(fd, path, params, totals);
	close(fd);
	return err;
}
