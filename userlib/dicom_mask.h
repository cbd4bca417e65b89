/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mask of a file: as many bytes, to be shown in the places of those that a
 * reader has no key for. Documentation/dicom.rst says what it looks like.
 *
 * A mask is made once, when a file is sealed, by who has all its bytes. What
 * it holds may be known to everybody who has the key of any compartment. It
 * also says whose each byte is, in full, where the header's list of segments
 * is a summary.
 */
#ifndef CHAOSIMG_DICOM_MASK_H
#define CHAOSIMG_DICOM_MASK_H

#include "dicom_blank.h"
#include "dicom_filler.h"
#include "dicom_region.h"

enum {
	/* Owners besides the compartments. The mask has the file's bytes: */
	DICOM_EVERYONE = 3,
	/* Pixels that are identity; who holds pixels is shown a substitute. */
	DICOM_REGION = 4,
	/* Of bytes and of entries; what is behind is masked by zeros. */
	DICOM_MASK_BYTES_MAX = 48 << 20,
	DICOM_MASK_PART_MAX = 16 << 20,	/* one part adds no more */
	DICOM_MASK_PIECES_MAX = 1 << 20,
};

/** dicom_held() - a set of compartments has this one; owners are never in it */
#define dicom_held(compartment) (1u << (compartment))

/**
 * struct dicom_piece - a part of the file with one owner
 * @start: where it begins; it ends where the next one does
 * @unit: the length of its runs together; they are repeated up to its end
 * @run: index of its first run
 * @runs: how many it has
 * @owner: a compartment or DICOM_EVERYONE; DICOM_REGION of a picture of which
 *	some belongs to pixels and some to the region
 */
struct dicom_piece {
	uint64_t start;
	uint64_t unit;
	uint32_t run;
	uint16_t runs;
	uint8_t owner;
};

/**
 * struct dicom_mask - the mask of a file
 * @length: of the file, in bytes
 * @piece: they cover the file without a gap
 * @pieces: how many there are
 * @piece_room: how many there is room for
 * @run: what the pieces consist of
 * @runs: how many there are
 * @run_room: how many there is room for
 * @bytes: what the runs refer to
 * @region: of the picture, if some piece's owner is DICOM_REGION
 * @held: why pixels that the rules cut belong to identity as a whole; NULL if
 *	they do not. It is not stored.
 */
struct dicom_mask {
	uint64_t length;
	struct dicom_piece *piece;
	uint32_t pieces;
	uint32_t piece_room;
	struct dicom_run *run;
	uint32_t runs;
	uint32_t run_room;
	struct dicom_bytes bytes;
	struct dicom_region *region;
	const char *held;
};

/**
 * dicom_mask_make() - divide a file and make its mask, in one walk
 * @src: the file
 * @uid_key: for dicom_fill_uids(): the same for all files whose UIDs shall
 *	stay the same among each other
 * @cut: which of the pixels belong to identity; NULL: none
 * @info: filled in as by dicom_parse(), but pixels that are cut or held back are
 *	identity
 * @m: filled in; to be released with dicom_mask_free(), unless this fails
 * Return: 1 if it is DICOM; 0 if not: then @m is zeros, and all of it is
 * identity; -errno if reading failed, or -ENOMEM.
 *
 * Reads the headers, the values that the mask shows, and UIDs; no pixels,
 * and a deflated data set in full.
 *
 * With @cut, the data set's Pixel Data is divided if that can be. If not, and
 * everywhere else, all that were pixels belongs to identity: icons, overlays,
 * compressed frames.
 */
int dicom_mask_make(const struct dicom_source *src,
		    const uint8_t uid_key[DICOM_UID_KEY],
		    const struct dicom_cut *cut, struct dicom_info *info,
		    struct dicom_mask *m);

/** dicom_mask_free() - release what @m holds */
void dicom_mask_free(struct dicom_mask *m);

/**
 * dicom_mask_apply() - hide what a reader has no key for
 * @m: the file's mask
 * @held: the compartments that the reader has: dicom_held(..) | ..
 * @buf: bytes of the file; what is not held may be anything on entry
 * @len: how many
 * @off: where they begin; @off + @len is at most the file's length
 *
 * With @held 0, @buf receives the mask itself. To who holds identity or pixels,
 * what is of DICOM_REGION is left as it is: for one without identity it has to
 * be the substitute, see dicom_blur_fill().
 */
void dicom_mask_apply(const struct dicom_mask *m, unsigned int held, void *buf,
		      size_t len, uint64_t off);

/**
 * dicom_mask_owner() - whose is this byte?
 * @m: the file's mask
 * @off: where it is, less than the file's length
 * @end: receives a place behind it; up to there the owner is the same, and
 *	perhaps further, in a picture with a region
 * Return: a compartment, DICOM_EVERYONE or DICOM_REGION.
 */
unsigned int dicom_mask_owner(const struct dicom_mask *m, uint64_t off,
			      uint64_t *end);

/**
 * dicom_mask_owner_from() - the same for who goes through a mask in order
 * @m: the file's mask
 * @piece: where the last call found the owner; at first anything
 * @off: as above
 * @end: as above
 */
unsigned int dicom_mask_owner_from(const struct dicom_mask *m, uint32_t *piece,
				   uint64_t off, uint64_t *end);

/**
 * dicom_mask_pack() - a mask as bytes that can be stored
 * @m: the mask
 * @out: receives them; to be freed
 * @len: receives their number
 * Return: 0 or -ENOMEM.
 */
int dicom_mask_pack(const struct dicom_mask *m, uint8_t **out, size_t *len);

/**
 * dicom_mask_unpack() - the reverse
 * @in: as packed; may be anything
 * @len: of @in
 * @m: receives the mask
 * Return: 0; -EIO if @in is no packed mask; -ENOMEM.
 */
int dicom_mask_unpack(const uint8_t *in, size_t len, struct dicom_mask *m);

/* --- between the files of this part --------------------------------------- */

/** dicom_mask_add_piece() - append one that ends at @m->length, without runs */
int dicom_mask_add_piece(struct dicom_mask *m, uint64_t start, uint8_t owner);

/** dicom_mask_add_run() - give it a run; @run refers to @m->bytes */
int dicom_mask_add_run(struct dicom_mask *m, const struct dicom_run *run);

/** dicom_mask_make_inflated() - the same; a deflated data set becomes zeros */
int dicom_mask_make_inflated(const struct dicom_source *src,
			     const uint8_t uid_key[DICOM_UID_KEY],
			     struct dicom_info *info, struct dicom_mask *m);

/**
 * dicom_mask_deflated() - the mask of a deflated data set
 * @b: receives a deflated stream of that length; its data set holds nothing
 *	but structure and filler
 * @r: of the file
 * @part: the data set
 * @uid_key: as above
 * Return: 0 or -errno.
 */
int dicom_mask_deflated(struct dicom_blank *b, struct dicom_reader *r,
			const struct dicom_part *part,
			const uint8_t uid_key[DICOM_UID_KEY]);

#endif
