/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DICOM files that tests make by hand, in memory, and what the library makes
 * of them.
 */
#ifndef DICOM_FILE_H
#define DICOM_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dicom.h"

enum { C = CHAOSIMG_CLINICAL, I = CHAOSIMG_IDENTITY, P = CHAOSIMG_PIXELS };

#define EXPLICIT_LE "1.2.840.10008.1.2.1"
#define IMPLICIT_LE "1.2.840.10008.1.2"
#define EXPLICIT_BE "1.2.840.10008.1.2.2"
#define DEFLATED "1.2.840.10008.1.2.1.99"
#define JPEG "1.2.840.10008.1.2.4.50"

/* --- a file in memory --------------------------------------------------- */

/* The file; @implicit and @big say in what form elements are added to it. */
extern struct dcm_file {
	uint8_t data[1 << 20];
	size_t len;
	bool implicit, big;
	unsigned int reads, fail_at;
} dcm;

/* Nothing in it yet. */
void dcm_start(void);

void dcm_put(const void *p, size_t n);
void dcm_put_number(uint32_t v, int bytes);

/* Returns the header's length. */
size_t dcm_header(uint32_t tag, const char *vr, uint32_t length);
void dcm_element(uint32_t tag, const char *vr, const char *value);
void dcm_item(uint32_t tag, uint32_t length);

#define UNDEF 0xffffffffu
#define dcm_begin_item(length) dcm_item(0xfffee000, length)
#define dcm_end_item() dcm_item(0xfffee00d, 0)
#define dcm_end_sequence() dcm_item(0xfffee0dd, 0)

/* The preamble and "DICM". */
void dcm_magic(void);

/* 128 identity, then clinical: 4 + 12 + 8 bytes and the UID. */
size_t dcm_part10(const char *uid);

/* --- what came out -------------------------------------------------------- */

/* Of the last parse. */
extern struct dicom_info dcm_info;

/* These check the form of what comes out, too. */
int dcm_parse(void);
int dcm_parse_prefix(size_t len);
void dcm_check_form(uint64_t length);

struct dcm_run {
	size_t length;
	int compartment;
};

/* The segments must be exactly these runs, joined where they are alike. */
void dcm_check_runs(const struct dcm_run *r, size_t n);

#define dcm_expect(...) do {						\
	const struct dcm_run r_[] = { __VA_ARGS__ };			\
	dcm_check_runs(r_, sizeof(r_) / sizeof(r_[0]));			\
} while (0)

/* -1 behind the end */
int dcm_compartment_at(uint64_t off);

/* All of the text must be in one. */
int dcm_compartment_of_text(const char *text);

#endif
