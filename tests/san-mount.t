#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The basic tests of the mount once more, against a daemon that was built with
# AddressSanitizer and UndefinedBehaviorSanitizer.
cd "$(dirname "$0")/.." || exit 1
BUILD=$PWD/build-san
export BUILD
exec tests/mount-basic.t
