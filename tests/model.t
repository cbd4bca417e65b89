#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The plain model of the cipher against the vectors; it prints TAP itself.
exec python3 tests/model/chaosimg_model.py
