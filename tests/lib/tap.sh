# SPDX-License-Identifier: GPL-2.0-or-later
# TAP for shell tests: source it, call the functions, end with done_testing.
# shellcheck shell=bash

tap_count=0
tap_failures=0
tap_log=$(mktemp)

# diag TEXT..: a comment that the reader of the test's output sees
diag() {
	printf '%s\n' "$*" | sed 's/^/# /' >&2
}

tap_result() { # ok|not name
	tap_count=$((tap_count + 1))
	if [ "$1" = ok ]; then
		echo "ok $tap_count - $2"
		return 0
	fi
	tap_failures=$((tap_failures + 1))
	echo "not ok $tap_count - $2"
	return 1
}

# ok NAME COMMAND..: the command must succeed; its output is shown if not
ok() {
	local name=$1
	shift
	if "$@" >"$tap_log" 2>&1; then
		tap_result ok "$name"
	else
		diag "status $? of: $*"
		head -n 30 "$tap_log" | sed 's/^/#   /' >&2
		tap_result not "$name"
	fi
}

# fails NAME STATUS PATTERN COMMAND..: the command must exit with STATUS, and
# what it prints must match the extended regular expression PATTERN
fails() {
	local name=$1 want=$2 pattern=$3 status=0
	shift 3
	"$@" >"$tap_log" 2>&1 || status=$?
	if [ $status = "$want" ] && grep -Eq -- "$pattern" "$tap_log"; then
		tap_result ok "$name"
	else
		diag "status $status, not $want with '$pattern', of: $*"
		head -n 30 "$tap_log" | sed 's/^/#   /' >&2
		tap_result not "$name"
	fi
}

# is NAME GOT WANT: two strings must be equal
is() {
	if [ "$2" = "$3" ]; then
		tap_result ok "$1"
	else
		diag "got '$2', not '$3'"
		tap_result not "$1"
	fi
}

# skip NAME REASON: one test that this machine cannot run
skip() {
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1 # SKIP $2"
}

# skip_all REASON: the whole file; only before the first test
skip_all() {
	echo "1..0 # SKIP $*"
	exit 0
}

# bail REASON: nothing further in this file makes sense
bail() {
	diag "$*"
	tap_result not "$*"
	done_testing
}

# done_testing: print the plan and exit
done_testing() {
	echo "1..$tap_count"
	rm -f "$tap_log"
	[ $tap_failures = 0 ]
	exit
}
