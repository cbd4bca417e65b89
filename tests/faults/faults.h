/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a test and the library in the daemon share: a mapped file. */
#ifndef FAULTS_H
#define FAULTS_H

#include <stdint.h>

enum faults_kind {
	FAULTS_NONE,
	FAULTS_ONE,	/* one call fails, with @err */
	FAULTS_FULL,	/* half a write, then nothing that takes space, with @err */
	FAULTS_WAIT,	/* one call that may wait fails, with @err: EINTR */
	FAULTS_SHORT,	/* one read or write does half of it */
	FAULTS_LOST,	/* one change is made, but fails with @err */
	FAULTS_HOLD,	/* @left calls of @what last until this is over */
};

/**
 * struct faults - which call fails
 * @kind: how
 * @err: errno
 * @left: calls that it may be, before the one that fails; calls to hold
 * @tripped: calls that failed, or were held
 * @what: the first of them, or which to hold
 */
struct faults {
	uint32_t kind;
	int32_t err;
	int64_t left;
	uint64_t tripped;
	char what[32];
};

#endif
