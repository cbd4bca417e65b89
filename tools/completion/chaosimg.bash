# SPDX-License-Identifier: GPL-2.0-or-later
# Completion in bash for chaosimg and chaosimgfs.
# shellcheck shell=bash

_chaosimg_options() { # COMMAND: its options
	local credential="--keyfile --passfile" common="--help --version"

	case $1 in
	init)	echo "$credential --chunk-size $common" ;;
	keyfile) echo "$common" ;;
	key)	echo "$credential --new-keyfile --new-passfile --slot --output \
		--escrow --force --compartments $common" ;;
	info)	echo "$credential --json $common" ;;
	fsck)	echo "$credential --dry-run --names --threads --json $common" ;;
	scrub)	echo "--rate --state --threads --json $common" ;;
	rekey)	echo "$credential --reencrypt --rate --drop-old $common" ;;
	encrypt | decrypt) echo "$credential --force $common" ;;
	cipher)	echo "--encrypt --decrypt --key --iv --impl --list $common" ;;
	bench)	echo "--seconds --json $common" ;;
	authority) echo "--user --output $common" ;;
	user)	echo "$common" ;;
	policy)	echo "$credential --authority --name --clinical --identity \
		--pixels --existing --force --user --attribute $common" ;;
	rules | ingest)	echo "$credential $common" ;;
	esac
}

_chaosimg_files() { # [-d]: complete file names, or names of directories
	local name

	compopt -o filenames 2>/dev/null
	while IFS= read -r name; do
		COMPREPLY+=("$name")
	done < <(compgen "${1:--f}" -- "$cur")
}

_chaosimg_words() { # WORD..
	mapfile -t COMPREPLY < <(compgen -W "$*" -- "$cur")
}

# The slots of the archive that the command line names, if it does already
_chaosimg_slots() {
	local word

	for word in "${COMP_WORDS[@]:2}"; do
		[ -d "$word" ] || continue
		"${COMP_WORDS[0]}" key list "$word" 2>/dev/null |
			awk 'NR > 1 { print $1 }'
		return
	done
}

# Completes the argument of the option PREV; fails if it takes none
_chaosimg_argument() { # COMMAND PREV
	case $2 in
	--keyfile | --passfile | --new-keyfile | --new-passfile | --state | \
	--output | --escrow | --authority)
		_chaosimg_files ;;
	--chunk-size)
		_chaosimg_words 4096 8192 16384 32768 65536 131072 262144 \
			524288 1048576 ;;
	--rate | --threads)
		;;
	--slot)
		_chaosimg_words "$(_chaosimg_slots)" ;;
	--impl)
		_chaosimg_words "$("${COMP_WORDS[0]}" cipher --list 2>/dev/null)" ;;
	--key | --iv | -k | -i)
		[ "$1" = cipher ] ;;
	--compartments)
		_chaosimg_words clinical identity pixels clinical,identity \
			clinical,pixels identity,pixels ;;
	--user)
		if [ "$1" = policy ]; then
			_chaosimg_files
		fi ;;
	--seconds | --attribute | --name | --clinical | --identity | --pixels)
		;;
	*)
		return 1 ;;
	esac
}

_chaosimg() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local command=${COMP_WORDS[1]}

	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		_chaosimg_words init keyfile key info scrub fsck rekey \
			encrypt decrypt cipher bench authority user policy \
			rules ingest --help --version
		return
	fi
	# COMP_WORDBREAKS makes "--option=value" three words.
	if [ "$cur" = = ]; then
		cur=
	elif [ "$prev" = = ] && [ "$COMP_CWORD" -gt 3 ]; then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	if _chaosimg_argument "$command" "$prev"; then
		return
	fi
	case $command:$cur in
	*:-*)	_chaosimg_words "$(_chaosimg_options "$command")" ;;
	key:*)	if [ "$COMP_CWORD" = 2 ]; then
			_chaosimg_words add remove list escrow restore export
		else
			_chaosimg_files -d
		fi ;;
	authority:* | user:* | policy:* | rules:* | ingest:*)
		if [ "$COMP_CWORD" != 2 ]; then
			_chaosimg_files
			return
		fi
		case $command in
		authority) _chaosimg_words init issue show ;;
		user)	_chaosimg_words add show ;;
		policy)	_chaosimg_words check test set show remove ;;
		rules)	_chaosimg_words check set show test ;;
		ingest)	_chaosimg_words params ;;
		esac ;;
	init:* | scrub:* | fsck:* | bench:* | rekey:*) _chaosimg_files -d ;;
	*)	_chaosimg_files ;;
	esac
}

_chaosimgfs() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local before

	COMPREPLY=()
	[ "$cur" != = ] || cur=
	if [ "$prev" = = ]; then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	case $prev in
	*keyfile | *passfile | *params)
		_chaosimg_files
		return ;;
	*cipher)
		_chaosimg_words "$(chaosimg cipher --list 2>/dev/null)"
		return ;;
	*threads | *ingest-epoch)
		return ;;
	-o)
		# Only what stands after the last comma is completed.
		before=
		[[ $cur != *,* ]] || before=${cur%,*},
		cur=${cur##*,}
		compopt -o nospace 2>/dev/null
		_chaosimg_words keyfile= passfile= allow_other ro \
			no_writeback no_sandbox replace threads= cipher= \
			ingest params= ingest-epoch= default_permissions \
			auto_unmount nodev nosuid noexec noatime
		COMPREPLY=("${COMPREPLY[@]/#/$before}")
		return ;;
	esac
	case $cur in
	-*)	_chaosimg_words -f -o --help --version ;;
	*)	_chaosimg_files -d ;;
	esac
}

complete -F _chaosimg chaosimg
complete -F _chaosimgfs chaosimgfs
