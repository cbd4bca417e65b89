// SPDX-License-Identifier: GPL-2.0-or-later
/* The DICOM parser: whatever a file holds, its segments cover it exactly. */
#include <errno.h>
#include <string.h>

#include "dicom.h"
#include "fixture.h"

/* The file; reading it beyond @good fails. */
struct file {
	const uint8_t *p;
	size_t len;
	size_t good;
	bool failed;
};

static ssize_t read_file(void *ctx, void *buf, size_t len, uint64_t off)
{
	struct file *f = ctx;

	if (off >= f->len)
		return 0;
	if (len > f->len - off)
		len = f->len - off;
	if (off + len > f->good) {
		f->failed = true;
		return -EIO;
	}
	memcpy(buf, f->p + off, len);
	return (ssize_t)len;
}

static void check_division(const struct dicom_info *info, size_t size)
{
	uint64_t sum = 0;
	uint32_t i;

	must(info->segments <= CHAOSIMG_SEGMENTS_MAX);
	for (i = 0; i < info->segments; i++) {
		must(info->segment[i].length);
		must(info->segment[i].length <= size - sum);
		must(info->segment[i].compartment <= CHAOSIMG_PIXELS);
		must(!i || info->segment[i].compartment !=
		     info->segment[i - 1].compartment);
		sum += info->segment[i].length;
	}
	must(sum == size);
	must(strnlen(info->modality, sizeof(info->modality)) <
	     sizeof(info->modality));
	must(strnlen(info->transfer_syntax, sizeof(info->transfer_syntax)) <
	     sizeof(info->transfer_syntax));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct file f = { .p = data, .len = size, .good = size };
	struct dicom_source src = { read_file, &f, size };
	struct dicom_info info;
	int ret = dicom_parse(&src, &info);

	must(ret == 0 || ret == 1);
	if (ret)
		check_division(&info, size);
	/* The same with a disk that fails somewhere. */
	f.good = size ? size - data[size - 1] * size / 256 : 0;
	ret = dicom_parse(&src, &info);
	must(f.failed ? ret == -EIO : ret >= 0);
	return 0;
}
