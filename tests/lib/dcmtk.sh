# SPDX-License-Identifier: GPL-2.0-or-later
# A real study, sent with DCMTK's storescu to DCMTK's storescp.
# Source it after archive.sh.
# shellcheck shell=bash

# Without it, each message waits for a delayed acknowledgement.
export TCP_NODELAY=1

# dcmtk_obstacle: prints what is missing; succeeds if something is
dcmtk_obstacle() {
	if ! command -v storescp >/dev/null || ! command -v storescu >/dev/null
	then
		echo "needs storescp and storescu (Debian's dcmtk)"
	elif [ ! -d "$STUDY" ]; then
		echo "needs the files of Debian's python3-pydicom"
	else
		return 1
	fi
}

# storescp_start FOLDER NAME: a storescp that writes into FOLDER, one folder
# for each patient and every image under a name of its own; its port is then in
# $port, its process in $helper, its log in $work/NAME.log
storescp_start() {
	local i
	rm -f "$work/$2.port"
	helper "$LIB/loopback.py" "$work/$2.port" storescp --inetd -v -dhl \
		--accept-all --promiscuous --unique-filenames \
		--sort-on-patientname --output-directory "$1" \
		>"$work/$2.log" 2>&1
	for ((i = 0; i < 200; i++)); do
		[ -s "$work/$2.port" ] && break
		sleep 0.05
	done
	port=$(cat "$work/$2.port")
}

# study_list: which files, and with what option storescu proposes them;
# written to $work/study once
study_list() {
	[ -s "$work/study" ] || "$LIB/study.py" list "$STUDY" >"$work/study"
}

# study_send PORT NAME: send every file in the transfer syntax that it has;
# storescu's log is then in $work/NAME-send.log
study_send() {
	local how status=0
	study_list || return
	: >"$work/$2-send.log"
	for how in $(cut -f1 "$work/study" | grep -v '^- ' | sort -u); do
		grep -- "^$how	" "$work/study" | cut -f2 | xargs -d '\n' \
			storescu -v --no-halt --required "$how" 127.0.0.1 "$1" \
			>>"$work/$2-send.log" 2>&1 || status=1
	done
	return $status
}

# study_sent NAME: how many images the server took and acknowledged
study_sent() {
	grep -c 'Received Store Response (Success)' "$work/$1-send.log"
}

# study_unsent NAME: the files that storescu would not send, a tab, and why
study_unsent() {
	sed -n 's/^- \(.*\)\t.*\/\(.*\)/\2\t\1/p' "$work/study"
	awk '
		/^I: Sending file: / { sub(/.*\//, ""); file = $0 }
		/^W: missing SOP class/ {
			sub(/, ignoring file$/, ""); sub(/.*\//, "")
			print $0 "\tdamaged: storescu finds no SOP class"
		}
		/^E: No presentation context for/ {
			print file "\tstorescu does not know its SOP class"
		}' "$work/$1-send.log"
}
