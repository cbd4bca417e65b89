// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Content rules, and a file that they are tried on. The first two bytes say how
 * long the text is; the rest is the file. A text is refused with one line that
 * names it, or used; a picture that is cut has an owner for each byte, and a
 * substitute for the region that touches nothing else.
 */
#include <errno.h>
#include <string.h>

#include "dicom_mask.h"
#include "fixture.h"
#include "rules.h"

/** struct file - the bytes of it */
struct file {
	const uint8_t *p;
	size_t len;
};

static ssize_t read_file(void *ctx, void *buf, size_t len, uint64_t off)
{
	const struct file *f = ctx;

	must(off <= f->len && len <= f->len - off);
	memcpy(buf, f->p + off, len);
	return (ssize_t)len;
}

static void check_refused(void)
{
	const char *said = chaosimg_errmsg();

	must(!strncmp(said, "fuzz:", 5));
	must(!strchr(said, '\n'));
}

static void check_region(const struct dicom_source *src, const struct file *f,
			 const struct dicom_mask *m)
{
	uint8_t *out = malloc(f->len);
	struct dicom_blur *b;
	uint64_t end = 0;

	must(out);
	memcpy(out, f->p, f->len);
	must(!dicom_blur_new(m->region, src, &b));
	must(!dicom_blur_fill(b, out, f->len, 0));
	dicom_blur_free(b);
	for (uint64_t off = 0; off < f->len; off = end) {
		unsigned int owner = dicom_mask_owner(m, off, &end);

		must(owner <= DICOM_REGION && end > off && end <= f->len);
		must(owner == DICOM_REGION ||
		     !memcmp(out + off, f->p + off, (size_t)(end - off)));
	}
	free(out);
}

static void check_packed(const struct dicom_mask *m)
{
	uint8_t *packed, *again;
	size_t len, again_len;
	struct dicom_mask back;

	must(!dicom_mask_pack(m, &packed, &len));
	must(!dicom_mask_unpack(packed, len, &back));
	must(!dicom_mask_pack(&back, &again, &again_len));
	must(len == again_len && !memcmp(packed, again, len));
	must(!m->region == !back.region);
	dicom_mask_free(&back);
	free(packed);
	free(again);
}

static void apply(const struct chaosimg_rules *r, struct file *f)
{
	static const uint8_t uid_key[DICOM_UID_KEY];
	const struct dicom_source src = { read_file, f, f->len };
	static struct rules_outcome outcome;
	struct dicom_info info;
	struct dicom_mask m;
	int found = rules_match(r, &src, &outcome);

	must(found == 0 || found == 1);
	must(found || (!outcome.rules && !dicom_cut_any(&outcome.cut)));
	must(outcome.rules <= chaosimg_rules_count(r));
	found = dicom_mask_make(&src, uid_key, &outcome.cut, &info, &m);
	must(found == 0 || found == 1);
	if (m.region)
		check_region(&src, f, &m);
	check_packed(&m);
	dicom_mask_free(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct chaosimg_rules *r;
	struct file f;
	size_t len;

	if (size < 2)
		return 0;
	len = (size_t)data[0] << 8 | data[1];
	data += 2;
	size -= 2;
	if (len > size)
		len = size;
	f = (struct file){ data + len, size - len };
	if (chaosimg_rules_parse((const char *)data, len, "fuzz", &r)) {
		check_refused();
		return 0;
	}
	apply(r, &f);
	chaosimg_rules_free(r);
	return 0;
}
