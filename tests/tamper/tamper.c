// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Thousands of mutations of an archive on the disk. After each, everything is
 * read through chaosimgfs's handlers: what was not touched has to be as it was,
 * what was touched as it was or refused, with its name in the log; where
 * threat-model.rst grants more ("Older states put back", "What is not bound"),
 * exactly that. fsck has to find it all, and scrub what needs no key.
 *
 *	tamper COUNT [SEED [FIRST]]
 *
 * Mutation number i of a seed is the same in every run.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tamper.h"

#define NOTE	"user.note"

enum outcome { SAME, REFUSED, OLDER, MIXED, MISSING, OTHER, SPECIAL, WRONG,
	       OUTCOMES };

static const char *const outcome_name[] = {
	"unchanged", "refused", "older", "mixed", "missing", "other's",
	"empty", "WRONG",
};
static const unsigned int granted_by[] = {
	~0u, MAY_REFUSE, MAY_OLDER, MAY_MIX, MAY_MISS, MAY_OTHER_LINK,
	MAY_SPECIAL, 0,
};

/** struct seen - what a program finds at a path; @err: or why not */
struct seen {
	char path[600];
	uint32_t mode;
	int err;
	uint8_t *data;
	size_t len;
	int note_err;
	uint8_t *note;
	size_t note_len;
	ino_t ino;
	char stored[700];
};

struct view {
	struct seen seen[200];
	size_t count;
};

struct stage stage;
static struct chaosimg_credential *cred;
static struct view now, old;
static char top[100], key[128];
static uint64_t state;
static uint64_t figures[200][OUTCOMES];
static uint64_t runs[200];
static int failures;

/* --- chance and time ------------------------------------------------------ */

uint64_t chance(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % below;
}

static void set_chance(uint64_t seed, uint64_t number)
{
	state = (seed * 0x9e3779b97f4a7c15 ^ number) * 0xbf58476d1ce4e5b9 | 1;
	chance(2);
	chance(2);
}

/* The log leaves out what it said within the last seconds: let them pass. */
int __real_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);
static time_t passed;

int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	int ret = __real_clock_gettime(id, t);

	if (id != CLOCK_REALTIME)
		t->tv_sec += passed;
	return ret;
}

/* Nobody else writes here, so there is nothing to wait for. */
int __wrap_nanosleep(const struct timespec *t, struct timespec *left);
int __wrap_nanosleep(const struct timespec *t, struct timespec *left)
{
	(void)t;
	(void)left;
	return 0;
}

static void touch_one(const char *path)
{
	must(stage.touched_count < TOUCHED_MAX);
	snprintf(stage.touched[stage.touched_count++],
		 sizeof(stage.touched[0]), "%s", path);
}

void touch(const char *path)
{
	const struct object *o = tree_find(&stage.now, path);
	size_t k;

	touch_one(path);
	stage.touched_mode = o ? o->mode : 0;
	for (k = 0; o && k < stage.now.count; k++)
		if (stage.now.object[k].ino == o->ino &&
		    &stage.now.object[k] != o)
			touch_one(stage.now.object[k].path);
}

/* --- looking -------------------------------------------------------------- */

static void look_in(struct view *v, uint64_t dir, const char *path);

static struct seen *add(struct view *v, const char *dir, const char *name)
{
	struct seen *s = &v->seen[v->count++];

	must(v->count <= sizeof(v->seen) / sizeof(v->seen[0]));
	memset(s, 0, sizeof(*s));
	snprintf(s->path, sizeof(s->path), "%s%s%s", dir, *dir ? "/" : "",
		 name);
	return s;
}

static void look_at(struct view *v, uint64_t dir, const char *path,
		    const char *name)
{
	struct seen *s = add(v, path, name);
	struct fuse_entry_out e;

	s->err = client_lookup(dir, name, &e);
	if (s->err)
		return;
	s->mode = e.attr.mode;
	s->ino = e.attr.ino;
	if (S_ISREG(s->mode)) {
		s->err = client_read(e.nodeid, &s->data, &s->len);
		/* It has another length than it seemed: the kernel asks again. */
		if (s->err == -ESTALE)
			s->err = client_read(e.nodeid, &s->data, &s->len);
		s->note_err = client_getxattr(e.nodeid, NOTE, &s->note,
					      &s->note_len);
	} else if (S_ISLNK(s->mode)) {
		s->err = client_readlink(e.nodeid, (char **)&s->data);
		s->len = s->err ? 0 : strlen((char *)s->data);
	} else if (S_ISDIR(s->mode)) {
		look_in(v, e.nodeid, s->path);
	}
	kernel_forget(e.nodeid, 1);
}

static void look_in(struct view *v, uint64_t dir, const char *path)
{
	char *names, *name;
	size_t at = v->count;
	int err = client_list(dir, &names);

	/* The directory's own line stands just before what is in it. */
	if (at)
		v->seen[at - 1].err = err;
	else
		add(v, "", "")->err = err;
	if (!at)
		v->seen[0].mode = S_IFDIR;
	for (name = names; *name; name += strlen(name) + 1)
		look_at(v, dir, path, name);
	free(names);
}

static void view_free(struct view *v)
{
	size_t i;

	for (i = 0; i < v->count; i++) {
		free(v->seen[i].data);
		free(v->seen[i].note);
	}
	v->count = 0;
}

static struct seen *view_find(const struct view *v, const char *path)
{
	size_t i;

	for (i = 0; i < v->count; i++)
		if (!strcmp(v->seen[i].path, path))
			return (struct seen *)&v->seen[i];
	return NULL;
}

/* Mount, see everything, unmount. Return: why it cannot be mounted. */
static int look(struct view *v, bool readonly)
{
	struct chaosimg_archive *a;
	int err = chaosimg_archive_open(stage.folder, cred, readonly ?
					CHAOSIMG_ARCHIVE_RDONLY : 0, &a);

	v->count = 0;
	if (err)
		return err;
	kernel_mount(a, stage.folder, readonly, false);
	look_in(v, FUSE_ROOT_ID, "");
	kernel_umount();
	chaosimg_archive_close(a);
	return 0;
}

/* --- the archive ---------------------------------------------------------- */

static uint8_t content[100000];
static const char long_a[] = "%0*d";
static char long_name[3][256];

static void fill_first(void)
{
	static uint8_t dicom[4000];
	FILE *f = fopen("tests/fuzz/corpus/dicom/seed-explicit", "re");
	size_t n = f ? fread(dicom, 1, sizeof(dicom), f) : 0;
	char path[300];

	must(n);
	fclose(f);
	client_mkdir("dir");
	client_mkdir("dir/sub");
	client_mkdir("dir2");
	client_mkdir("dir3");
	client_write("empty", "", 0, 0);
	client_write("one", "1", 1, 0);
	client_write("small", content, 100, 0);
	client_write("chunk", content + 100, 4096, 0);
	client_write("three", content + 300, 12288, 0);
	client_write("ten", content + 900, 40000, 0);
	client_write("sparse", content + 50, 5000, 0);
	client_write("sparse", content + 70, 100, 60000);
	client_write("image.dcm", dicom, n, 0);
	client_write(long_name[0], content + 1, 3000, 0);
	client_write(long_name[1], content + 2, 5000, 0);
	client_write("dir/a", content + 3, 9000, 0);
	client_write("dir/b", content + 4, 20000, 0);
	client_write("dir/sub/c", content + 5, 8192, 0);
	client_write("dir2/a", content + 6, 6000, 0);
	client_mkdir(long_name[2]);
	snprintf(path, sizeof(path), "%s/in", long_name[2]);
	client_write(path, content + 11, 100, 0);
	client_write("dir3/in", content + 7, 4500, 0);
	client_write("dir/gone", content + 8, 4500, 0);
	client_write("linked", content + 9, 7000, 0);
	client_link("linked", "dir/linked");
	client_write("left", content + 10, 16000, 0);
	client_symlink("DOE^JANE", "link1");
	client_symlink("../ten", "dir/link2");
	client_symlink("a target of another length", "dir2/link3");
	client_setxattr("small", NOTE, "a note");
	client_setxattr("three", NOTE, "another note");
	client_setxattr("dir/a", NOTE, "third note");
}

static void change_later(void)
{
	client_write("three", content + 5000, 4096, 4096);
	client_write("ten", content + 6000, 9000, 8192);
	client_write("small", content + 100, 5000, 100);
	client_truncate("dir/b", 7000);
	client_write("dir/a", content + 7000, 300, 4000);
	client_write("linked", content + 8000, 1000, 0);
	client_unlink("dir/gone");
	client_rename("dir3", "dir2/dir4");
	client_rename("chunk", "dir/chunk2");
	client_unlink("link1");
	client_symlink("ROE^RICHARD", "link1");
	client_write("new", content + 9000, 10000, 0);
	client_setxattr("three", NOTE, "changed note");
	client_truncate("sparse", 70000);
	client_leave_open("left", content + 9500, 4096, 4096);
}

static struct chaosimg_archive *open_now(void)
{
	struct chaosimg_archive *a;

	must(!chaosimg_archive_open(stage.folder, cred, 0, &a));
	return a;
}

static void make_archive(void)
{
	struct chaosimg_archive_params params = { TAMPER_CHUNK };
	struct chaosimg_archive *a;

	tree_remove(stage.folder);
	must(!chaosimg_archive_create(stage.folder, cred, &params));
	a = open_now();
	kernel_mount(a, stage.folder, false, false);
	fill_first();
	kernel_umount();
	chaosimg_archive_close(a);
}

static void make_all(void)
{
	struct chaosimg_archive *a;
	uint32_t slot;
	size_t i;

	make_archive();
	tree_save(&stage.other, stage.folder);
	make_archive();
	tree_save(&stage.old, stage.folder);
	must(!look(&old, true));
	a = open_now();
	must(!chaosimg_archive_rekey(a, NULL));
	must(!chaosimg_slot_add(a, cred, &slot));
	kernel_mount(a, stage.folder, false, false);
	change_later();
	/* As a crash would leave it. */
	tree_save(&stage.now, stage.folder);
	kernel_umount();
	chaosimg_archive_close(a);
	tree_restore(&stage.now, stage.folder);
	tree_save(&stage.now, stage.folder);
	must(!look(&now, true));
	for (i = 0; i < now.count; i++)
		must(!now.seen[i].err);
}

/* Which stored object a path stands for: by its number on the disk. */
static void note_stored(void)
{
	size_t i, k;

	strcpy(now.seen[0].stored, "data");
	for (i = 1; i < now.count; i++) {
		for (k = 0; stage.now.object[k].ino != now.seen[i].ino; k++)
			;
		strcpy(now.seen[i].stored, stage.now.object[k].path);
	}
}

/* --- judging -------------------------------------------------------------- */

/* The object that a touched path belongs to. */
static void owner_of(const char *path, char out[700])
{
	size_t len;

	snprintf(out, 700, "%s", path);
	len = strlen(out);
	if (len > 5 && !strcmp(out + len - 5, ".name"))
		out[len - 5] = '\0';
	else if (len > 13 && !strcmp(out + len - 13, "/chaosimg.dir"))
		out[len - 13] = '\0';
}

static bool below(const char *path, const char *above)
{
	size_t n = strlen(above);

	return !strncmp(path, above, n) && (!path[n] || path[n] == '/');
}

static bool touched(const char *stored)
{
	char owner[700];
	int i;

	for (i = 0; i < stage.touched_count; i++) {
		owner_of(stage.touched[i], owner);
		if (below(stored, owner))
			return true;
	}
	return false;
}

static bool same_data(const struct seen *a, const struct seen *b)
{
	return b && (a->mode & S_IFMT) == (b->mode & S_IFMT) && !b->err &&
	       a->len == b->len &&
	       (!a->len || !memcmp(a->data, b->data, a->len));
}

/* As far as it was read, each chunk is as it is or as it was. */
static bool is_mixed(const struct seen *got, const struct seen *want,
		     const struct seen *was)
{
	size_t at, n;

	for (at = 0; at < got->len; at += TAMPER_CHUNK) {
		n = got->len - at < TAMPER_CHUNK ? got->len - at : TAMPER_CHUNK;
		if (at + n <= want->len &&
		    !memcmp(got->data + at, want->data + at, n))
			continue;
		if (!was || at + n > was->len ||
		    memcmp(got->data + at, was->data + at, n))
			return false;
	}
	return got->err || got->len == want->len ||
	       (was && got->len == was->len);
}

static bool of_another(const struct seen *got)
{
	size_t i;

	for (i = 0; i < now.count; i++)
		if (S_ISLNK(now.seen[i].mode) && same_data(got, &now.seen[i]))
			return true;
	return false;
}

static enum outcome judge_data(const struct seen *got, const struct seen *want,
			       const struct seen *was)
{
	if (!got)
		return MISSING;
	if (got->err) {
		/* What was read before the error came. */
		if (!got->len || is_mixed(got, want, NULL))
			return REFUSED;
		return is_mixed(got, want, was) ? MIXED : WRONG;
	}
	if (S_ISFIFO(got->mode) || (S_ISDIR(got->mode) &&
				    !S_ISDIR(want->mode)))
		return SPECIAL;
	if (same_data(got, want))
		return SAME;
	if (was && same_data(got, was))
		return OLDER;
	if (S_ISREG(got->mode) && S_ISREG(want->mode) &&
	    is_mixed(got, want, was))
		return MIXED;
	if (S_ISLNK(got->mode) && of_another(got))
		return OTHER;
	return WRONG;
}

static enum outcome judge_note(const struct seen *got, const struct seen *want,
			       const struct seen *was)
{
	size_t i;

	if (!got || got->err || !S_ISREG(got->mode) || !S_ISREG(want->mode))
		return SAME;
	if (got->note_err == -ENODATA)
		return want->note_err == -ENODATA ? SAME : MISSING;
	if (got->note_err)
		return REFUSED;
	if (!want->note_err && want->note_len == got->note_len &&
	    !memcmp(want->note, got->note, got->note_len))
		return SAME;
	if (was && !was->note_err && was->note_len == got->note_len &&
	    !memcmp(was->note, got->note, got->note_len))
		return OLDER;
	for (i = 0; i < now.count; i++)
		if (now.seen[i].note && now.seen[i].note_len == got->note_len &&
		    !memcmp(now.seen[i].note, got->note, got->note_len))
			return OTHER;
	return WRONG;
}

/* A folder above it that could not be listed, or is not there? */
static enum outcome judge_above(const struct view *v, const char *path)
{
	const struct seen *s = view_find(v, "");
	char above[600];
	char *slash;

	if (!s || s->err)
		return REFUSED;
	snprintf(above, sizeof(above), "%s", path);
	while ((slash = strrchr(above, '/'))) {
		*slash = '\0';
		s = view_find(v, above);
		if (s)
			return s->err ? REFUSED : S_ISDIR(s->mode) ? MISSING :
			       WRONG;
	}
	return MISSING;
}

static void complain(const struct mutation *m, uint64_t number,
		     const char *what, const char *path)
{
	size_t k;
	int i;

	if (getenv("TAMPER_KEEP"))
		must(!rename(top, getenv("TAMPER_KEEP")));
	printf("# mutation %llu, %s: %s: %s\n", (unsigned long long)number,
	       m->name, what, path);
	for (k = 0; k < now.count; k++)
		if (touched(now.seen[k].stored))
			printf("#   of %.40s\n", now.seen[k].path);
	for (i = 0; i < stage.touched_count; i++)
		printf("#   touched %s\n", stage.touched[i]);
	if (++failures > 20)
		exit(1);
}

static enum outcome judge_one(const struct view *v, const struct seen *want)
{
	const struct seen *got = view_find(v, want->path);
	const struct seen *was = view_find(&old, want->path);
	enum outcome data, note;

	if (!got)
		return judge_above(v, want->path);
	data = judge_data(got, want, was);
	note = judge_note(got, want, was);
	return data > note ? data : note;
}

/* What is there and was not: of an earlier time, or refused. */
static void judge_extra(const struct view *v, const struct mutation *m,
			uint64_t number)
{
	const struct seen *was;
	size_t i;

	for (i = 0; i < v->count; i++) {
		const struct seen *s = &v->seen[i];

		if (view_find(&now, s->path) || s->err)
			continue;
		was = view_find(&old, s->path);
		if (!was || !(m->may & MAY_OLDER) || !same_data(s, was))
			complain(m, number, "is there", s->path);
	}
}

/* Return: the worst that came of what was touched. */
static enum outcome judge_all(const struct view *v, const struct mutation *m,
			      uint64_t number, bool *refused)
{
	enum outcome o, worst = SAME;
	bool any = false;
	size_t i;

	for (i = 0; i < now.count; i++) {
		const struct seen *want = &now.seen[i];
		bool affected = touched(want->stored);

		o = judge_one(v, want);
		any |= affected;
		*refused |= o == REFUSED;
		if (o != SAME && (!affected || !(granted_by[o] & m->may)))
			complain(m, number, outcome_name[o], want->path);
		if (affected && o > worst)
			worst = o;
	}
	judge_extra(v, m, number);
	if (m->may & MUST_CHANGE && any && worst == SAME)
		complain(m, number, "not noticed", "");
	return worst;
}

/* Everything has to be as it was: what the page says of such a thing. */
static void judge_older(const struct view *v, const struct mutation *m,
			uint64_t number)
{
	size_t i;

	if (v->count != old.count)
		complain(m, number, "not all as it was", "");
	for (i = 0; i < old.count; i++) {
		const struct seen *got = view_find(v, old.seen[i].path);

		if (!got || !same_data(&old.seen[i], got))
			complain(m, number, "not as it was", old.seen[i].path);
	}
}

/* --- what is said of it --------------------------------------------------- */

static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Does it name something that was touched? */
static bool names_it(const char *text)
{
	char owner[700];
	int i;

	for (i = 0; i < stage.touched_count; i++) {
		owner_of(stage.touched[i], owner);
		if (strstr(text, base(owner)))
			return true;
	}
	return false;
}

static bool found_it;

static void found(void *ctx, const struct chaosimg_finding *f)
{
	int i;

	(void)ctx;
	for (i = 0; i < stage.touched_count; i++) {
		char owner[700];

		owner_of(stage.touched[i], owner);
		found_it |= below(f->path, owner) || below(owner, f->path);
	}
}

/* A file that a crash left open: what follows its snapshot has no meaning. */
static bool touches_open(void)
{
	const struct seen *left = view_find(&now, "left");
	int i;

	for (i = 0; i < stage.touched_count; i++)
		if (!strcmp(stage.touched[i], left->stored))
			return true;
	return false;
}

static void check_found(const struct mutation *m, uint64_t number)
{
	struct chaosimg_check_params p = { .threads = 1, .found = found };
	struct chaosimg_check_totals t;
	struct chaosimg_archive *a;

	if (touches_open())
		return;
	if (m->may & CHECKED) {
		found_it = false;
		must(!chaosimg_archive_open(stage.folder, cred,
					    CHAOSIMG_ARCHIVE_RDONLY, &a));
		must(!chaosimg_fsck(a, &p, &t));
		chaosimg_archive_close(a);
		if (!found_it)
			complain(m, number, "fsck finds nothing", "");
	}
	if (m->may & SCRUBBED) {
		found_it = false;
		must(!chaosimg_scrub(stage.folder, &p, &t));
		if (!found_it)
			complain(m, number, "scrub finds nothing", "");
	}
}

/* --- runs ----------------------------------------------------------------- */

static char *log_text;
static size_t log_len;

/* Look, and keep what the daemon says meanwhile. */
static int look_and_listen(struct view *v, bool readonly)
{
	FILE *real_stderr = stderr;
	int err;

	passed += 100;
	stderr = open_memstream(&log_text, &log_len);
	must(stderr);
	err = look(v, readonly);
	fclose(stderr);
	stderr = real_stderr;
	return err;
}

/* Return: the worst that came of what was touched. */
static enum outcome judge(const struct view *v, int err,
			  const struct mutation *m, uint64_t number)
{
	enum outcome worst = OLDER;
	bool refused = false;

	if (err) {
		if (!(m->may & MAY_REFUSE) ||
		    !strstr(chaosimg_errmsg(), stage.folder))
			complain(m, number, "the archive does not open",
				 chaosimg_errmsg());
		return REFUSED;
	}
	if (m->may & ALL_OLDER)
		judge_older(v, m, number);
	else
		worst = judge_all(v, m, number, &refused);
	if (refused && !names_it(log_text))
		complain(m, number, "the log does not name it", log_text);
	return worst;
}

static void try_one(const struct mutation *m, uint64_t number)
{
	static struct view v;
	enum outcome worst;
	int err = look_and_listen(&v, true);

	worst = judge(&v, err, m, number);
	figures[m - mutations][worst]++;
	view_free(&v);
	free(log_text);
	/*
	 * Nobody can tell a state as it was, a header slot that is not in
	 * force, or an empty folder from what belongs there.
	 */
	if (!err && worst != SPECIAL &&
	    !(m->may & MAY_OLDER && (worst == SAME || worst == OLDER)) &&
	    !(S_ISDIR(stage.touched_mode) && worst == MISSING))
		check_found(m, number);
	/* A mount that may write mends what it can. */
	if (err || chance(4))
		return;
	err = look_and_listen(&v, false);
	judge(&v, err, m, number);
	view_free(&v);
	free(log_text);
}

static void run_one(uint64_t seed, uint64_t number)
{
	size_t kind = number % mutation_count;
	const struct mutation *m = &mutations[kind];

	set_chance(seed, number);
	do
		stage.touched_count = 0;
	while (!m->apply());
	runs[kind]++;
	try_one(m, number);
	tree_restore(&stage.now, stage.folder);
}

static void print_figures(uint64_t count, uint64_t seed)
{
	size_t i, k;

	printf("# %llu mutations, seed %llu\n", (unsigned long long)count,
	       (unsigned long long)seed);
	for (i = 0; i < mutation_count; i++) {
		printf("# %-36s %6llu:", mutations[i].name,
		       (unsigned long long)runs[i]);
		for (k = 0; k < OUTCOMES; k++)
			if (figures[i][k])
				printf(" %llu %s",
				       (unsigned long long)figures[i][k],
				       outcome_name[k]);
		printf("\n");
	}
}

static void set_up(void)
{
	const char *tmp = getenv("TMPDIR");
	size_t i;

	snprintf(top, sizeof(top), "%.60s/chaosimg-tamper.XXXXXX", tmp ? tmp :
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	must(mkdtemp(top));
	snprintf(stage.folder, sizeof(stage.folder), "%s/archive", top);
	snprintf(key, sizeof(key), "%s/key", top);
	for (i = 0; i < 3; i++)
		snprintf(long_name[i], sizeof(long_name[i]), long_a, 255,
			 (int)i);
	set_chance(1, 1);
	for (i = 0; i < sizeof(content); i++)
		content[i] = (uint8_t)chance(256);
	must(!chaosimg_keyfile_create(key));
	must(!chaosimg_credential_keyfile(key, &cred));
	make_all();
	note_stored();
}

int main(int argc, char **argv)
{
	uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 0) : 2000;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) :
				   (uint64_t)time(NULL);
	uint64_t first = argc > 3 ? strtoull(argv[3], NULL, 0) : 0, i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("# seed %llu\n", (unsigned long long)seed);
	set_up();
	for (i = first; i < first + count; i++)
		run_one(seed, i);
	tree_remove(top);
	print_figures(count, seed);
	printf("%s 1 - no mutation gives wrong bytes, each is told\n1..1\n",
	       failures ? "not ok" : "ok");
	return failures != 0;
}
