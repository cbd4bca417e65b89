# SPDX-License-Identifier: GPL-2.0-or-later
# The daemon's unit under systemd, and what it says; source it after tap.sh.
# shellcheck shell=sh

modprobe -q fuse
[ -e /dev/fuse ] || skip_all "needs /dev/fuse"
# The root may be a file system without file handles.
mkdir -p /srv
grep -q ' /srv ' /proc/mounts || mount -t tmpfs -o size=80% tmpfs /srv
busybox pidof syslogd >/dev/null || busybox syslogd -O /tmp/messages

# unit_is NAME: from now on it is this one
unit_is() {
	name=$1
	unit=chaosimgfs@$name.service
	archive=/srv/$name
	mnt=/mnt/$name
	mkdir -p "$mnt"
}

# What it says on stderr would go to a journal, which is not here.
add_log() {
	folder=/run/systemd/system/chaosimgfs@.service.d
	mkdir -p $folder
	printf '[Service]\nStandardError=append:/tmp/said\n' >$folder/log.conf
}

# archive_of_unit: a new one, and the unit's configuration
archive_of_unit() {
	chaosimg keyfile "/etc/chaosimg/$name.key" &&
		chaosimg init --keyfile "/etc/chaosimg/$name.key" "$archive" ||
		return
	cat >"/etc/chaosimg/$name.conf" <<-END
		ARCHIVE=$archive
		MOUNTPOINT=$mnt
		OPTIONS=keyfile=/etc/chaosimg/$name.key,allow_other,default_permissions
	END
	add_log
	systemctl daemon-reload
}

property() {
	systemctl show -P "$1" $unit
}

# within SECONDS COMMAND..
within() {
	tries=$(($1 * 10))
	shift
	for _ in $(seq $tries); do
		! "$@" || return 0
		sleep 0.1
	done
	systemctl status $unit
	cat /tmp/said /tmp/messages
	return 1
}

mounted() {
	grep -q " $mnt fuse" /proc/mounts
}

not_mounted() {
	! mounted
}

active() {
	[ "$(property ActiveState)" = active ] && mounted
}

begun() {
	systemctl start $unit && within 10 active
}

ended() {
	systemctl stop $unit && within 10 not_mounted &&
		[ "$(property ActiveState)" = inactive ] &&
		[ "$(property Result)" = success ]
}
