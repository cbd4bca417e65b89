#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The basic tests of the mount once more, against a daemon that was built with
# AddressSanitizer and UndefinedBehaviorSanitizer.
cd "$(dirname "$0")/.." || exit 1
BUILD=$PWD/build-san
# Whole stacks, so that the suppressions recognise who called. No alternate
# signal stack: taking it down trips over the stacks of cancelled threads, and
# libfuse cancels its workers.
ASAN_OPTIONS=detect_leaks=1:fast_unwind_on_malloc=0:use_sigaltstack=0
LSAN_OPTIONS=suppressions=$PWD/tests/lib/lsan.supp:print_suppressions=0
UBSAN_OPTIONS=print_stacktrace=1
export BUILD ASAN_OPTIONS LSAN_OPTIONS UBSAN_OPTIONS
exec tests/mount-basic.t
