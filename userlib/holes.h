/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The chunks of a file that were never written and read as zeros. */
#ifndef CHAOSIMG_HOLES_H
#define CHAOSIMG_HOLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** struct hole - chunks @start .. @start + @count - 1; @count is at least 1 */
struct hole {
	uint64_t start;
	uint64_t count;
};

/** struct holes - sorted, apart from each other by at least one chunk */
struct holes {
	struct hole *hole;
	size_t count;
	size_t room;
};

/** holes_has() - is chunk @k in a hole? */
bool holes_has(const struct holes *h, uint64_t k);

/** holes_add() - make chunks @start .. @start + @count - 1 a hole; -ENOMEM */
int holes_add(struct holes *h, uint64_t start, uint64_t count);

/** holes_remove() - they are no longer a hole; -ENOMEM, then nothing changed */
int holes_remove(struct holes *h, uint64_t start, uint64_t count);

/** holes_next() - the first hole that ends after chunk @k, or NULL */
const struct hole *holes_next(const struct holes *h, uint64_t k);

/** holes_free() - release the list */
void holes_free(struct holes *h);

#endif
