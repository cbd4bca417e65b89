# SPDX-License-Identifier: GPL-2.0-or-later
# One study and three keys: the archive's own, a radiologist's and a clerk's.
# Source it after archive.sh; $archive is mounted at $mnt.
# shellcheck shell=bash

# chaosimg ARGUMENT..
chaosimg() {
	"$BUILD/chaosimg" "$@" || die "chaosimg $1 $2 failed"
}

# views_keys: two authorities, and a key for each of two users. In truth all of
# them are on machines of their own.
views_keys() {
	local authority
	for authority in hospital board; do
		chaosimg authority init "$authority" "$work/$authority.secret" \
			"$work/$authority.public" >/dev/null
	done
	views_issue hospital radiologist radiology
	views_issue board radiologist physician
	views_issue hospital clerk records
	chaosimg user add "$work/radiologist.key" \
		"$work/radiologist.hospital" "$work/radiologist.board"
	chaosimg user add "$work/clerk.key" "$work/clerk.hospital"
}

# views_issue AUTHORITY USER ATTRIBUTE
views_issue() {
	chaosimg authority issue --user "$2" --output "$work/$2.$1" \
		"$work/$1.secret" "$3"
}

# views_policies: who may see which compartment of what is written from now on
views_policies() {
	local image="radiology@hospital AND physician@board"
	chaosimg policy set --keyfile "$key" --clinical "$image" \
		--pixels "$image" --identity records@hospital \
		--authority "$work/hospital.public" \
		--authority "$work/board.public" "$archive" >/dev/null
}

# views_rules: the bar at the top of captures is the patient's
views_rules() {
	cat >"$work/rules" <<-END
		rule captures
		    BurnedInAnnotation = YES
		    Manufacturer = "chaosimg demo"
		    region 0 0 256 24
	END
	chaosimg rules set --keyfile "$key" "$archive" "$work/rules"
}

# views_study: a CT, and a screen capture of it
views_study() {
	local ct=$STUDY/test_files/CT_small.dcm
	mkdir "$mnt/study" || die "mkdir"
	"$LIB/pictures.py" capture "$ct" "$work/capture.dcm" ||
		die "no capture"
	cp "$ct" "$mnt/study/ct.dcm" &&
		cp "$work/capture.dcm" "$mnt/study/capture.dcm" || die "cp failed"
}

# views_mount: what the radiologist's and the clerk's keys show
views_mount() {
	view_mount "$work/radiologist" "$work/radiologist.key" &&
		view_mount "$work/clerk" "$work/clerk.key" || die "no mount"
}

views_umount() {
	umount "$work/radiologist" "$work/clerk" || die "umount failed"
}

# views_path VIEW FILE: where a file of the study is in a mount, which shows it
# under its stored name if it does not hold identity
views_path() {
	local number
	number=$(stat -c %i "$mnt/study/$2")
	find "$1" -xdev -type f -inum "$number" | head -n 1
}

# views_value FILE ATTRIBUTE: its first value
views_value() {
	dcmdump -q +P "$2" "$1" 2>/dev/null | sed -n 's/.*\[\(.*\)\].*/\1/p;q'
}

# views_line TITLE TEXT-OF-EACH-MOUNT..
views_line() {
	printf '%-15s %-22s %-23s %s\n' "$@"
}

# views_compare: what DCMTK finds in each
views_compare() {
	local view file attribute row=() files=()
	for view in "$mnt" "$work/radiologist" "$work/clerk"; do
		file=$(views_path "$view" ct.dcm)
		files+=("$file")
		row+=("$(echo "${file#"$view"/}" | cut -c 1-20)")
	done
	views_line "" "all keys" radiologist clerk
	views_line "file" "${row[@]}"
	for attribute in PatientName PatientID StudyDate Modality \
		SliceThickness; do
		row=()
		for file in "${files[@]}"; do
			row+=("$(views_value "$file" $attribute)")
		done
		views_line $attribute "${row[@]}"
	done
	row=()
	for file in "${files[@]}"; do
		row+=("$("$LIB/pictures.py" shades "$file")")
	done
	views_line "shades of grey" "${row[@]}"
}

# views_picture OUT
views_picture() {
	local view title spec=()
	for view in "$mnt" "$work/radiologist" "$work/clerk"; do
		title=$(basename "$view")
		[ "$title" = mnt ] && title="all keys"
		spec+=("$title:$(views_path "$view" ct.dcm):$(views_path "$view" capture.dcm)")
	done
	"$LIB/pictures.py" beside "$1" "${spec[@]}" || die "no picture"
}
