/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What can be told of a file while it is being written: whether it is DICOM,
 * and where its large values are. It saves work and decides nothing: what
 * belongs to whom is known once the file is whole, from its mask.
 */
#ifndef CHAOSIMG_DICOM_OUTLINE_H
#define CHAOSIMG_DICOM_OUTLINE_H

#include "dicom_element.h"

enum {
	OUTLINE_TAIL = 256,	/* holds the preamble, too */
	OUTLINE_VALUE_MIN = 4096,	/* smaller ones are not remembered */
};

enum dicom_outline_state {
	OUTLINE_START,		/* its beginning was not seen */
	OUTLINE_META,		/* in the file meta information */
	OUTLINE_DATA,		/* in the data set */
	OUTLINE_END,		/* of what can be told */
	OUTLINE_FOREIGN,	/* it is not DICOM */
};

/**
 * struct dicom_outline - starts as zeros
 * @state: how far it got
 * @bare: there is no preamble
 * @behind: data came that lies behind @pos, which could not be looked at
 * @syntax: of the headers that come next
 * @uid: the transfer syntax
 * @elements: how many were seen
 * @pos: where the next header is
 * @seen: no header was seen that ends behind
 * @from: the last large value: where it begins
 * @to: where it ends
 * @set: the compartments that its bytes belong to
 * @tail: what was seen last
 * @tail_len: bytes of @tail
 * @tail_end: where they end
 */
struct dicom_outline {
	enum dicom_outline_state state;
	bool bare;
	bool behind;
	struct dicom_syntax syntax;
	char uid[65];
	uint32_t elements;
	uint64_t pos;
	uint64_t seen;
	uint64_t from;
	uint64_t to;
	unsigned int set;
	uint8_t tail[OUTLINE_TAIL];
	size_t tail_len;
	uint64_t tail_end;
};

/**
 * dicom_outline_feed() - look at what is being written
 * @o: the outline
 * @data: the bytes
 * @len: how many
 * @off: where they begin in the file
 *
 * In any order, but what does not continue what was seen is lost. Headers
 * that are written again make it start anew.
 */
void dicom_outline_feed(struct dicom_outline *o, const void *data, size_t len,
			uint64_t off);

/** dicom_outline_blank() - was nothing of the file seen yet? */
bool dicom_outline_blank(const struct dicom_outline *o);

/** dicom_outline_lost() - is it to be fed from @o->pos on, to go on? */
bool dicom_outline_lost(const struct dicom_outline *o);

/**
 * dicom_outline_set() - what these bytes seem to belong to
 * @o: the outline
 * @off: where they begin in the file
 * @len: how many
 * Return: a set of compartments; all of them if nothing can be told.
 */
unsigned int dicom_outline_set(const struct dicom_outline *o, uint64_t off,
			       size_t len);

/**
 * dicom_outline_has_all() - are bytes of all compartments at the beginning?
 * @o: the outline
 * @len: how many bytes to look at
 * Return: true if the file is DICOM and has pixels there, behind its preamble,
 * which is identity, and its attributes; false also if nothing can be told.
 */
bool dicom_outline_has_all(const struct dicom_outline *o, size_t len);

/**
 * dicom_outline_known() - the outline of a file that was looked at before
 * @o: the outline
 * @dicom: it is DICOM
 * @from: where its largest value begins
 * @to: where that ends
 * @set: the compartments that its bytes belong to
 */
void dicom_outline_known(struct dicom_outline *o, bool dicom, uint64_t from,
			 uint64_t to, unsigned int set);

#endif
