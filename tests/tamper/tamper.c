// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Thousands of mutations of an archive on the disk. After each, everything is
 * read through chaosimgfs's handlers, once with all keys and once with those of
 * some compartments: what was not touched has to be as it was, what was touched
 * as it was or refused, with its name in the log; where threat-model.rst grants
 * more ("Older states put back", "What is not bound"), exactly that. fsck has to
 * find it all, and scrub what needs no key.
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

#include "chaosimg_check.h"
#include "tamper.h"

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

/**
 * struct reader - somebody with keys
 * @name: of which compartments
 * @held: a set as of chaosimg_archive_held()
 * @cred: the keys
 * @now: what he sees of the archive as it is
 * @old: and saw earlier
 */
static struct reader {
	const char *name;
	unsigned int held;
	struct chaosimg_credential *cred;
	struct view now, old;
} readers[] = {
	{ .name = "all", .held = 7 },
	{ .name = "clinical", .held = 1 },
	{ .name = "identity", .held = 2 },
	{ .name = "pixels", .held = 4 },
	{ .name = "clinical and pixels", .held = 5 },
	{ .name = "identity and pixels", .held = 6 },
};

enum { READERS = sizeof(readers) / sizeof(readers[0]) };

struct stage stage;
static struct reader *me = &readers[0];
static char top[100];
static uint64_t state;
/* With all keys, and with some. */
static uint64_t figures[2][200][OUTCOMES];
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
	int err = chaosimg_archive_open(stage.folder, me->cred, readonly ?
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

static struct chaosimg_archive *open_now(void)
{
	struct chaosimg_archive *a;

	must(!chaosimg_archive_open(stage.folder, readers[0].cred, 0, &a));
	return a;
}

static void make_archive(void)
{
	struct chaosimg_archive_params params = { TAMPER_CHUNK };
	struct chaosimg_archive *a;

	tree_remove(stage.folder);
	must(!chaosimg_archive_create(stage.folder, readers[0].cred, &params));
	a = open_now();
	kernel_mount(a, stage.folder, false, false);
	contents_fill();
	kernel_umount();
	chaosimg_archive_close(a);
}

/* A key for @r's compartments of this archive, which is not changed by it. */
static void export_key(struct chaosimg_archive *a, struct reader *r)
{
	char path[130];

	snprintf(path, sizeof(path), "%s/key%u", top, r->held);
	must(!chaosimg_compartments_export(a, r->held, path));
	must(!chaosimg_credential_keyfile(path, &r->cred));
}

static void look_at_old(void)
{
	struct chaosimg_archive *a = open_now();

	for (me = &readers[0]; me < &readers[READERS]; me++) {
		if (me != readers)
			export_key(a, me);
		must(!look(&me->old, true));
	}
	chaosimg_archive_close(a);
}

static bool is_in(const char *stored, const char *folder)
{
	size_t n = strlen(folder);

	return !strncmp(stored, folder, n) && stored[n] == '/' &&
	       !strchr(stored + n + 1, '/');
}

/*
 * Which stored object a path stands for: by its number on the disk, and its
 * folder, as there are hard links.
 */
static void note_stored(struct view *now)
{
	const struct object *o;
	char above[600];
	size_t i;

	strcpy(now->seen[0].stored, "data");
	for (i = 1; i < now->count; i++) {
		char *slash = strrchr(strcpy(above, now->seen[i].path), '/');

		*(slash ? slash : above) = '\0';
		o = stage.now.object;
		while (o->ino != now->seen[i].ino ||
		       !is_in(o->path, view_find(now, above)->stored))
			o++;
		strcpy(now->seen[i].stored, o->path);
	}
}

static void look_at_now(void)
{
	size_t i;

	for (me = &readers[0]; me < &readers[READERS]; me++) {
		must(!look(&me->now, true));
		for (i = 0; i < me->now.count; i++)
			must(!me->now.seen[i].err);
		must(me->now.count == readers[0].now.count);
		note_stored(&me->now);
	}
}

static void make_all(void)
{
	struct chaosimg_archive *a;
	uint32_t slot;

	make_archive();
	tree_save(&stage.other, stage.folder);
	make_archive();
	look_at_old();
	tree_save(&stage.old, stage.folder);
	a = open_now();
	must(!chaosimg_archive_rekey(a, NULL));
	must(!chaosimg_slot_add(a, readers[0].cred, &slot));
	kernel_mount(a, stage.folder, false, false);
	contents_change();
	/* As a crash would leave it. */
	tree_save(&stage.now, stage.folder);
	kernel_umount();
	chaosimg_archive_close(a);
	tree_restore(&stage.now, stage.folder);
	tree_save(&stage.now, stage.folder);
	look_at_now();
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

/*
 * As far as it was read, each chunk is as it is or as it was. What somebody with
 * some keys sees of a chunk comes from its record, the parts and the mask.
 */
static bool is_mixed(const struct seen *got, const struct seen *want,
		     const struct seen *was)
{
	size_t at, n, step = me == readers ? TAMPER_CHUNK : 1;

	for (at = 0; at < got->len; at += step) {
		n = got->len - at < step ? got->len - at : step;
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

/*
 * Who has no key for names sees what is stored, if it has the form of a target
 * that nobody can follow.
 */
static bool is_opaque(const struct seen *got)
{
	return S_ISLNK(got->mode) && !(me->held & 1 << CHAOSIMG_IDENTITY) &&
	       got->len && !memchr(got->data, '.', got->len) &&
	       !memchr(got->data, '/', got->len);
}

static bool of_another(const struct seen *got)
{
	size_t i;

	for (i = 0; i < me->now.count; i++)
		if (S_ISLNK(me->now.seen[i].mode) &&
		    same_data(got, &me->now.seen[i]))
			return true;
	return false;
}

/* What somebody with some keys sees of a file that is being written. */
static bool is_blank(const struct seen *got, const struct seen *want)
{
	size_t i;

	if (me == readers || !S_ISREG(got->mode) || got->len != want->len)
		return false;
	for (i = 0; i < got->len; i++)
		if (got->data[i])
			return false;
	return true;
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
	if ((was && same_data(got, was)) || is_blank(got, want) ||
	    (was && is_blank(got, was)))
		return OLDER;
	if (S_ISREG(got->mode) && S_ISREG(want->mode) &&
	    is_mixed(got, want, was))
		return MIXED;
	if (S_ISLNK(want->mode) && is_opaque(got))
		return SAME;
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
	for (i = 0; i < me->now.count; i++) {
		const struct seen *s = &me->now.seen[i];

		if (s->note && s->note_len == got->note_len &&
		    !memcmp(s->note, got->note, got->note_len))
			return OTHER;
	}
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
	printf("# mutation %llu, %s, read by %s: %s: %s\n",
	       (unsigned long long)number, m->name, me->name, what, path);
	for (k = 0; k < me->now.count; k++)
		if (touched(me->now.seen[k].stored))
			printf("#   of %.40s\n", me->now.seen[k].path);
	for (i = 0; i < stage.touched_count; i++)
		printf("#   touched %s\n", stage.touched[i]);
	if (++failures > 20)
		exit(1);
}

/* A file that a crash left open: what follows its snapshot has no meaning. */
static const struct seen *left_open(void)
{
	const struct seen *s = view_find(&readers[0].now, "left");

	must(s);
	return s;
}

static enum outcome judge_one(const struct view *v, const struct seen *want)
{
	const struct seen *got = view_find(v, want->path);
	const struct seen *was = view_find(&me->old, want->path);
	enum outcome data, note;

	if (!got)
		return judge_above(v, want->path);
	data = judge_data(got, want, was);
	/* It shows nothing to some; an older header says that it is sealed. */
	if (data == WRONG && me->held & 1 << CHAOSIMG_IDENTITY &&
	    !strcmp(want->stored, left_open()->stored))
		data = judge_data(got, left_open(), was);
	note = judge_note(got, want, was);
	return data > note ? data : note;
}

/* Without a key for names nobody can tell that a file was not there before. */
static bool was_moved(const struct seen *s)
{
	char to[700];
	size_t i;

	snprintf(to, sizeof(to), "data/%s", s->path);
	if (me->held & 1 << CHAOSIMG_IDENTITY || stage.touched_count < 2 ||
	    strcmp(to, stage.touched[stage.touched_count - 1]))
		return false;
	for (i = 0; i < me->now.count; i++)
		if (touched(me->now.seen[i].stored))
			return same_data(s, &me->now.seen[i]);
	return false;
}

/* What is there and was not: of an earlier time, or refused. */
static void judge_extra(const struct view *v, const struct mutation *m,
			uint64_t number)
{
	const struct seen *was;
	size_t i;

	for (i = 0; i < v->count; i++) {
		const struct seen *s = &v->seen[i];

		if (view_find(&me->now, s->path) || s->err || was_moved(s))
			continue;
		was = view_find(&me->old, s->path);
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

	for (i = 0; i < me->now.count; i++) {
		const struct seen *want = &me->now.seen[i];
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
	/* What is hidden may change unnoticed by who does not see it. */
	if (me == readers && m->may & MUST_CHANGE && any && worst == SAME)
		complain(m, number, "not noticed", "");
	return worst;
}

/* Everything has to be as it was: what the page says of such a thing. */
static void judge_older(const struct view *v, const struct mutation *m,
			uint64_t number)
{
	const struct view *old = &me->old;
	size_t i;

	if (v->count != old->count)
		complain(m, number, "not all as it was", "");
	for (i = 0; i < old->count; i++) {
		const struct seen *got = view_find(v, old->seen[i].path);

		if (!got || !same_data(&old->seen[i], got))
			complain(m, number, "not as it was", old->seen[i].path);
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
	/* A file that is opened by its number may be told by either name. */
	return stage.link && strstr(text, base(stage.link));
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

static bool touches_open(void)
{
	int i;

	for (i = 0; i < stage.touched_count; i++)
		if (!strcmp(stage.touched[i], left_open()->stored))
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
		must(!chaosimg_archive_open(stage.folder, me->cred,
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

/* What the reader sees of it now. Return: the worst that came of it. */
static enum outcome try_reader(const struct mutation *m, uint64_t number,
			       bool readonly, int *err)
{
	static struct view v;
	enum outcome worst;

	*err = look_and_listen(&v, readonly);
	worst = judge(&v, *err, m, number);
	view_free(&v);
	free(log_text);
	return worst;
}

static void try_all_keys(const struct mutation *m, uint64_t number)
{
	enum outcome worst;
	int err;

	worst = try_reader(m, number, true, &err);
	figures[0][m - mutations][worst]++;
	/*
	 * Nobody can tell a state as it was, a header slot that is not in
	 * force, or an empty folder from what belongs there.
	 */
	if (!err && worst != SPECIAL &&
	    !(m->may & MAY_OLDER && (worst == SAME || worst == OLDER)) &&
	    !(S_ISDIR(stage.touched_mode) && worst == MISSING))
		check_found(m, number);
	/* A mount that may write mends what it can. */
	if (!err && !chance(4))
		try_reader(m, number, false, &err);
}

static void try_some_keys(const struct mutation *m, uint64_t number)
{
	int err;

	figures[1][m - mutations][try_reader(m, number, true, &err)]++;
}

static void run_one(uint64_t seed, uint64_t number)
{
	size_t kind = number % mutation_count;
	const struct mutation *m = &mutations[kind];

	set_chance(seed, number);
	stage.link = NULL;
	do
		stage.touched_count = 0;
	while (!m->apply());
	runs[kind]++;
	me = &readers[1 + number / mutation_count % (READERS - 1)];
	try_some_keys(m, number);
	me = &readers[0];
	try_all_keys(m, number);
	tree_restore(&stage.now, stage.folder);
}

static void print_outcomes(const uint64_t count[OUTCOMES])
{
	size_t k;

	for (k = 0; k < OUTCOMES; k++)
		if (count[k])
			printf(" %llu %s", (unsigned long long)count[k],
			       outcome_name[k]);
}

static void print_figures(uint64_t count, uint64_t seed)
{
	size_t i;

	printf("# %llu mutations, seed %llu: with all keys; with some\n",
	       (unsigned long long)count, (unsigned long long)seed);
	for (i = 0; i < mutation_count; i++) {
		printf("# %-36s %6llu:", mutations[i].name,
		       (unsigned long long)runs[i]);
		print_outcomes(figures[0][i]);
		printf(";");
		print_outcomes(figures[1][i]);
		printf("\n");
	}
}

static void set_up(void)
{
	const char *tmp = getenv("TMPDIR");
	char key[128];

	snprintf(top, sizeof(top), "%.60s/chaosimg-tamper.XXXXXX", tmp ? tmp :
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	must(mkdtemp(top));
	snprintf(stage.folder, sizeof(stage.folder), "%s/archive", top);
	snprintf(key, sizeof(key), "%s/key", top);
	set_chance(1, 1);
	contents_draw();
	must(!chaosimg_keyfile_create(key));
	must(!chaosimg_credential_keyfile(key, &readers[0].cred));
	make_all();
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
