// SPDX-License-Identifier: GPL-2.0-or-later
/* Content rules for those who use the library: read, shown, tried on a file. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dicom_mask.h"
#include "error.h"
#include "rules.h"

void chaosimg_rules_free(struct chaosimg_rules *r)
{
	if (!r || atomic_fetch_sub(&r->holders, 1))
		return;
	free(r->text);
	free(r->rule.p);
	free(r->condition.p);
	free(r->operand.p);
	free(r->region.p);
	free(r);
}

uint32_t chaosimg_rules_count(const struct chaosimg_rules *r)
{
	return r->rule.n;
}

const char *chaosimg_rules_name(const struct chaosimg_rules *r, uint32_t i)
{
	return i < r->rule.n ? rule_at(r, i)->name : NULL;
}

const char *chaosimg_rules_text(const struct chaosimg_rules *r, size_t *len)
{
	*len = r->len;
	return r->text;
}

/* Up to one byte more than there may be. */
static int read_text(int fd, const char *path, char *text, size_t *len)
{
	ssize_t n = 1;

	*len = 0;
	while (n && *len <= CHAOSIMG_RULES_TEXT_MAX) {
		n = read(fd, text + *len, CHAOSIMG_RULES_TEXT_MAX + 1 - *len);
		if (n < 0 && errno != EINTR)
			return fail_errno("%s", path);
		if (n > 0)
			*len += (size_t)n;
	}
	return 0;
}

int chaosimg_rules_read(const char *path, struct chaosimg_rules **out)
{
	char *text = malloc(CHAOSIMG_RULES_TEXT_MAX + 1);
	size_t len;
	int fd, ret;

	if (!text)
		return fail(ENOMEM, "%s: no memory", path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		ret = fail_errno("%s", path);
		free(text);
		return ret;
	}
	ret = read_text(fd, path, text, &len);
	close(fd);
	if (!ret)
		ret = chaosimg_rules_parse(text, len, path, out);
	free(text);
	return ret;
}

/* --- what would become of a file ------------------------------------------- */

static ssize_t read_fd(void *ctx, void *buf, size_t len, uint64_t off)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(*(int *)ctx, (char *)buf + done, len - done,
				  (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno("reading");
		if (!n)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* The spans of a band as rectangles. */
static void add_rects(const struct dicom_region *region, uint32_t i,
		      struct chaosimg_rules_result *out)
{
	const struct dicom_layout *l = &region->layout;
	const struct dicom_band *band = &region->band[i];
	uint32_t until = i + 1 < region->bands ? band[1].y : l->rows;
	uint32_t pixel = (uint32_t)l->samples * l->bytes;

	for (uint32_t k = 0; k < band->spans; k++) {
		const struct dicom_span *s = &region->span[band->span + k];
		uint32_t x = s->from / pixel;

		if (out->rects == CHAOSIMG_RESULT_RECTS_MAX) {
			out->more = true;
			return;
		}
		out->rect[out->rects++] = (struct chaosimg_rect){
			x, band->y, (s->until + pixel - 1) / pixel - x,
			until - band->y,
		};
	}
}

static void describe(const struct dicom_mask *m,
		     struct chaosimg_rules_result *out)
{
	const struct dicom_region *region = m->region;

	out->held = m->held;
	if (!region)
		return;
	out->rows = region->layout.rows;
	out->columns = region->layout.columns;
	out->block = region->block;
	for (uint32_t i = 0; i < region->bands; i++)
		add_rects(region, i, out);
}

static int test(const struct chaosimg_rules *r, const struct dicom_source *src,
		struct rules_outcome *outcome,
		struct chaosimg_rules_result *out)
{
	/* No UID of this mask is shown. */
	static const uint8_t uid_key[DICOM_UID_KEY];
	struct dicom_info info;
	struct dicom_mask m;
	int found = rules_match(r, src, outcome);

	if (found < 0)
		return found;
	found = dicom_mask_make(src, uid_key, &outcome->cut, &info, &m);
	if (found < 0)
		return found;
	out->dicom = found;
	if (found) {
		out->policy = outcome->policy;
		out->rules = outcome->rules;
		memcpy(out->rule, outcome->rule, sizeof(out->rule));
		describe(&m, out);
	}
	dicom_mask_free(&m);
	return 0;
}

int chaosimg_rules_test(const struct chaosimg_rules *r, int fd,
			struct chaosimg_rules_result *out)
{
	struct dicom_source src = { .read = read_fd, .ctx = &fd };
	struct rules_outcome *outcome;
	struct stat st;
	int ret;

	memset(out, 0, sizeof(*out));
	if (fstat(fd, &st))
		return fail_errno("fstat");
	if (!S_ISREG(st.st_mode))
		return fail(EINVAL, "not a regular file");
	src.length = (uint64_t)st.st_size;
	outcome = malloc(sizeof(*outcome));
	if (!outcome)
		return fail(ENOMEM, "out of memory");
	ret = test(r, &src, outcome, out);
	free(outcome);
	return ret;
}
