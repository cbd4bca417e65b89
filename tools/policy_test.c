// SPDX-License-Identifier: GPL-2.0-or-later
/* chaosimg policy test, of an archive: who would see what of it? */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chaosimg_rekey.h"
#include "policy.h"

/**
 * struct who - whose sight it is
 * @archive: what is looked at
 * @only: the name of the policies that are looked at, or NULL for all
 * @u: the user, or NULL
 * @r: has the attributes otherwise
 */
struct who {
	const char *archive;
	const char *only;
	struct chaosimg_user *u;
	const struct policy_request *r;
};

/** struct sight - which compartments some attributes open */
struct sight {
	const struct policy_request *r;
	unsigned int set;
};

static int look(void *ctx, enum chaosimg_compartment c,
		const struct chaosimg_policy *p)
{
	struct sight *s = ctx;

	if (chaosimg_policy_satisfied(p, s->r->attribute, s->r->attributes))
		s->set |= 1u << c;
	return 0;
}

static void print_set(unsigned int set)
{
	unsigned int c;

	if (!set)
		printf(" nothing");
	for (c = 0; c < CHAOSIMG_COMPARTMENTS; c++)
		if (set >> c & 1)
			printf(" %s", compartment_name((enum chaosimg_compartment)c));
}

static int print_sight(const struct who *w, const uint8_t id[CHAOSIMG_ID_SIZE])
{
	struct sight s = { .r = w->r };
	char hex[2 * CHAOSIMG_ID_SIZE + 1], name[CHAOSIMG_POLICY_NAME_MAX + 1];
	int err = chaosimg_keyset_policy(w->archive, id, name);

	if (!err && w->only && strcmp(w->only, name))
		return DONE;
	if (err)
		return failed_library(w->archive, err);
	if (w->u)
		err = chaosimg_keyset_opens(w->archive, id, w->u, &s.set);
	else
		err = chaosimg_keyset_policies(w->archive, id, look, &s);
	if (err)
		return failed_library(w->archive, err);
	bytes_to_hex(id, CHAOSIMG_ID_SIZE, hex);
	printf("keyset %s", hex);
	print_set(s.set);
	if (*name)
		printf(" (policy %s)", name);
	putchar('\n');
	return DONE;
}

static int all_keysets(const struct who *w)
{
	uint8_t *ids;
	int status = DONE, err;
	size_t i, n;

	err = chaosimg_keyset_list(w->archive, &ids, &n);
	if (err)
		return failed_library(w->archive, err);
	for (i = 0; i < n && !status; i++)
		status = print_sight(w, ids + i * CHAOSIMG_ID_SIZE);
	free(ids);
	return status;
}

/* --- a file ---------------------------------------------------------------- */

static int keyset_of(int fd, const char *path, uint8_t id[CHAOSIMG_ID_SIZE])
{
	int err = chaosimg_stored_keyset(fd, id);

	close(fd);
	return err ? failed_library(path, err) : DONE;
}

/* By its path below the archive: no key is needed for that. */
static int stored_file(const char *archive, const char *path, int *fd)
{
	int dir = open(archive, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return failed_errno(archive);
	*fd = openat(dir, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
		     O_CLOEXEC);
	close(dir);
	if (*fd < 0)
		return failed("%s: %s (without a key, FILE is a path as it is stored: data/..)",
			      path, strerror(errno));
	return DONE;
}

static int shown_file(const struct policy_request *r, const char *archive,
		      const char *path, int *fd)
{
	struct found *found = calloc(1, sizeof(*found));
	struct chaosimg_archive *a;
	int status;

	if (!found)
		return failed("%s: %s", path, strerror(ENOMEM));
	status = policy_open(r, archive, CHAOSIMG_ARCHIVE_RDONLY, &a);
	if (status) {
		free(found);
		return status;
	}
	found->fd = -1;
	status = lookup(a, archive, path, found);
	if (!status && found->type != FOUND_FILE)
		status = failed("%s: not a file", path);
	if (!status)
		*fd = found->fd;
	else if (found->fd >= 0)
		close(found->fd);
	chaosimg_archive_close(a);
	free(found);
	return status;
}

static int one_file(const struct who *w, const char *path)
{
	uint8_t id[CHAOSIMG_ID_SIZE];
	int fd = -1, status;

	if (policy_has_key(w->r))
		status = shown_file(w->r, w->archive, path, &fd);
	else
		status = stored_file(w->archive, path, &fd);
	if (!status)
		status = keyset_of(fd, path, id);
	return status ? status : print_sight(w, id);
}

int policy_test_archive(const struct policy_request *r)
{
	struct who w = { .archive = r->arg[0], .r = r };
	int status = DONE;

	if (r->args != 1 && r->args != 2)
		return misused(r->cmd, "test: one ARCHIVE is needed, and at most one FILE");
	if (r->user && r->attributes)
		return misused(r->cmd, "test: a user's key and attributes exclude each other");
	if (r->user)
		status = user_read(r->user, &w.u);
	if (status)
		return status;
	w.only = r->args == 1 ? r->name : NULL;
	status = r->args == 2 ? one_file(&w, r->arg[1]) : all_keysets(&w);
	chaosimg_user_free(w.u);
	return status;
}
