// SPDX-License-Identifier: GPL-2.0-or-later
/* A folder for archives on the disk, and what tests do with them. */
#include <dirent.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive_env.h"
#include "chaosimg_abe.h"
#include "config.h"
#include "config_file.h"

char arc_top[256];
struct chaosimg_credential *arc_key, *arc_other_key;

char *arc_in_top(const char *name)
{
	static char path[8][512];
	static int next;
	char *p = path[next++ % 8];

	snprintf(p, 512, "%s/%s", arc_top, name);
	return p;
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int arc_set_up(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(arc_top, sizeof(arc_top), "%.200s/chaosimg-XXXXXX",
		 tmp ? tmp : "/tmp");
	if (!mkdtemp(arc_top))
		return -1;
	if (chaosimg_keyfile_create(arc_in_top("key")) ||
	    chaosimg_keyfile_create(arc_in_top("other-key")) ||
	    chaosimg_credential_keyfile(arc_in_top("key"), &arc_key) ||
	    chaosimg_credential_keyfile(arc_in_top("other-key"),
					&arc_other_key))
		return -1;
	return 0;
}

int arc_tear_down(void **state)
{
	(void)state;
	chaosimg_credential_free(arc_key);
	chaosimg_credential_free(arc_other_key);
	return nftw(arc_top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- files ---------------------------------------------------------------- */

char *arc_slurp(const char *path, size_t *len)
{
	FILE *f = fopen(path, "r");
	char *buf = malloc(1 << 20);

	assert_non_null(f);
	*len = fread(buf, 1, 1 << 20, f);
	assert_true(*len < 1 << 20);
	fclose(f);
	return buf;
}

void arc_spit(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static uint64_t digest;

static void mix(const void *p, size_t len)
{
	const uint8_t *b = p;

	while (len--)
		digest = (digest ^ *b++) * 0x100000001b3u;
}

static int digest_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	char *text;
	size_t len;

	(void)ftw;
	mix(path, strlen(path));
	mix(&st->st_mode, sizeof(st->st_mode));
	mix(&st->st_ino, sizeof(st->st_ino));
	mix(&st->st_mtim, sizeof(st->st_mtim));
	mix(&st->st_ctim, sizeof(st->st_ctim));
	if (type == FTW_F) {
		text = arc_slurp(path, &len);
		mix(text, len);
		free(text);
	}
	return 0;
}

uint64_t arc_digest_of(const char *path)
{
	digest = 0xcbf29ce484222325u;
	assert_int_equal(nftw(path, digest_one, 16, FTW_PHYS), 0);
	return digest;
}

size_t arc_entries(const char *path)
{
	DIR *d = opendir(path);
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

char *arc_keyset_file(const char *archive_dir)
{
	static char path[1024];
	char dir[600];
	struct dirent *e;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s/keysets", archive_dir);
	assert_int_equal(arc_entries(dir), 1);
	d = opendir(dir);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
	closedir(d);
	return path;
}

char *arc_config_file(const char *dir)
{
	static char path[600];

	snprintf(path, sizeof(path), "%s/chaosimg.json", dir);
	return path;
}

void arc_forge(const char *file, const char *from, const char *to)
{
	size_t len;
	char *text = arc_slurp(file, &len);
	char *at;

	text[len] = '\0';
	at = strstr(text, from);
	assert_non_null(at);
	memcpy(at, to, strlen(to));
	len = (size_t)(strstr(text, "  \"checksum\"") - text);
	assert_int_equal(config_checksum_append(&text, &len), 0);
	arc_spit(file, text, len);
	free(text);
}

/* --- archives ------------------------------------------------------------- */

char *arc_make(const char *name)
{
	char *path = arc_in_top(name);

	assert_int_equal(chaosimg_archive_create(path, arc_key, NULL), 0);
	return path;
}

int arc_try_open(const char *path, const struct chaosimg_credential *cred,
		 unsigned int flags)
{
	struct chaosimg_archive *a = NULL;
	int ret = chaosimg_archive_open(path, cred, flags, &a);

	if (ret) {
		assert_null(a);
		assert_int_not_equal(strlen(chaosimg_errmsg()), 0);
	}
	chaosimg_archive_close(a);
	return ret;
}

struct chaosimg_archive *arc_must_open(const char *path, unsigned int flags)
{
	struct chaosimg_archive *a;

	assert_int_equal(chaosimg_archive_open(path, arc_key, flags, &a), 0);
	return a;
}

int arc_in_want(int (*fn)(const char *), const char *path, rlim_t limit)
{
	struct rlimit rl = { limit, limit };
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &rl);
		_exit(-fn(path));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

struct chaosimg_user *arc_user(const char *secret, const char *name,
			       const char *attribute)
{
	char *path = arc_in_top("issued");
	struct chaosimg_user *u;

	unlink(path);
	assert_int_equal(chaosimg_authority_issue(secret, name, &attribute, 1,
						  path), 0);
	assert_int_equal(chaosimg_user_read(path, &u), 0);
	return u;
}

unsigned int arc_opens(const char *path, const uint8_t *id,
		       const struct chaosimg_user *u)
{
	unsigned int held;

	if (chaosimg_keyset_opens(path, id, u, &held))
		fail_msg("%s", chaosimg_errmsg());
	return held;
}
