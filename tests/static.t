#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The kernel module without running it: compiled by gcc and by clang with W=1
# for each kernel whose headers are installed, sparse, checkpatch, and what the
# object files and modinfo must and must not say.

set -u
cd "$(dirname "$(readlink -f "$0")")/.." || exit 1
. tests/lib/tap.sh

out=$(pwd)/${BUILD:-build}/static
jobs=$(nproc)
mkdir -p "$out"
shopt -s nullglob
kernels=(/lib/modules/*/build/)

have() {
	command -v "$1" >/dev/null
}

# What kbuild says of every module, whatever it holds: no BTF without a
# vmlinux, and another compiler than the kernel's own.
usual='Skipping BTF generation|the compiler differs from the one used|'
usual+='The kernel was built by:|You are using:|^make\[[0-9]*\]: '

# build DIR KDIR FLAG..: the module, with every file compiled anew
build() {
	local dir=$1 kdir=$2
	shift 2
	rm -rf "$dir"
	make -s -j"$jobs" BUILD="$dir" KDIR="$kdir" KFLAGS="$*" modules 2>&1
}

# It must succeed and be silent.
silent_build() {
	local said status=0
	said=$(build "$@") || status=$?
	said=$(grep -Ev "$usual" <<<"$said")
	[ -z "$said" ] || echo "$said"
	[ $status = 0 ] && [ -z "$said" ]
}

# Debian's kernels are built by gcc, and so their headers ask for what only gcc
# has; clang must not be asked for that. Its 14 takes 6.12's mark of per-CPU
# variables for a repetition, in the kernel's own headers.
clang_flags="CC=clang CONFIG_CC_IS_GCC= CONFIG_CC_IS_CLANG=y \
	CONFIG_RETHUNK= CONFIG_MITIGATION_RETHUNK= \
	CONFIG_SLS= CONFIG_MITIGATION_SLS= CONFIG_FTRACE_MCOUNT_USE_CC= \
	CONFIG_INIT_STACK_ALL_ZERO= \
	CONFIG_CC_IMPLICIT_FALLTHROUGH=-Wimplicit-fallthrough \
	KCFLAGS='-Wno-unknown-warning-option -Wno-duplicate-decl-specifier'"

# sparse knows no vector intrinsics: it cannot read the files made of them, nor
# do these hold any of the kernel's pointers.
sparse_clean() {
	local check=$out/sparse said status=0
	printf '%s\n' '#!/bin/sh' \
		'case " $* " in */cipher/aesni.c\ *|*/cipher/avx*.c\ *)' \
		'	exit 0 ;;' 'esac' 'exec sparse "$@"' >"$check"
	chmod +x "$check"
	said=$(make -s BUILD="$1" KDIR="$2" KFLAGS="W=1 C=2 CHECK=$check" \
		modules 2>&1) || status=$?
	said=$(grep -Ev "$usual" <<<"$said")
	[ -z "$said" ] || echo "$said"
	[ $status = 0 ] && [ -z "$said" ]
}

# Outside of the files with intrinsics nothing may touch a vector register: the
# kernel does not save them there.
no_vector_registers() {
	local object bad=0
	for object in "$1"/kmod-*/kmod/*.o "$1"/kmod-*/cipher/*.o; do
		case $object in
		*.mod.o|*/aesni.o|*/avx*.o) continue ;;
		esac
		if objdump -d "$object" | grep -E '%[xyz]?mm[0-9]'; then
			echo "in $object"
			bad=1
		fi
	done
	[ $bad = 0 ]
}

# ... and within them the check above must find some, or it finds nothing.
vector_registers() {
	objdump -d "$1"/kmod-*/cipher/aesni.o | grep -Eq '%xmm[0-9]'
}

info() { # DIR FIELD
	modinfo -F "$2" "$1"/kmod-*/chaosimg.ko | sort | tr '\n' ' '
}

for kdir in "${kernels[@]}"; do
	kernel=$(basename "$(dirname "$kdir")")
	dir=$out/gcc-$kernel
	ok "$kernel: gcc, W=1, without a word" silent_build "$dir" "$kdir" W=1 ||
		continue
	if have sparse; then
		ok "$kernel: sparse, without a word" sparse_clean "$dir" "$kdir"
	else
		skip "$kernel: sparse" "sparse is not installed"
	fi
	if have clang; then
		ok "$kernel: clang, W=1, without a word" silent_build \
			"$out/clang-$kernel" "$kdir" "$clang_flags" W=1
	else
		skip "$kernel: clang" "clang is not installed"
	fi
	ok "$kernel: vector registers in the fast files" vector_registers "$dir"
	ok "$kernel: and nowhere else" no_vector_registers "$dir"
	if ! have modinfo; then
		skip "$kernel: modinfo" "kmod is not installed"
		continue
	fi
	is "$kernel: license" "$(info "$dir" license)" "Dual BSD/GPL "
	is "$kernel: needs no other module" "$(info "$dir" depends)" " "
	is "$kernel: made for that kernel" \
		"$(info "$dir" vermagic | cut -d' ' -f1)" "$kernel"
	is "$kernel: version" "$(info "$dir" version)" \
		"$(sed -n 's/^VERSION := //p' Makefile) "
	for name in '' -generic -aesni -vaes-avx2 -vaes-avx512; do
		ok "$kernel: is found as chaosimg$name" grep -qw \
			"crypto-chaosimg$name" <<<"$(info "$dir" alias)"
	done
done
[ ${#kernels[@]} != 0 ] ||
	skip "compilers and sparse" "no kernel headers are installed"

# --- DKMS --------------------------------------------------------------------

# In folders of its own: the machine's are none of a test's business.
dkms_builds() {
	local tree=$out/dkms kernel=$1 version
	version=$(sed -n 's/^VERSION := //p' Makefile)
	rm -rf "$tree"
	mkdir -p "$tree/tree" "$tree/modules"
	make -s install-dkms DESTDIR="$tree" &&
		dkms build "chaosimg/$version" -k "$kernel" \
			--sourcetree "$tree/usr/src" --dkmstree "$tree/tree" \
			--installtree "$tree/modules" &&
		[ -n "$(find "$tree/tree" -path '*/module/chaosimg.ko*')" ]
}

if ! have dkms; then
	skip "DKMS builds it" "dkms is not installed"
elif [ "$(id -u)" != 0 ]; then
	skip "DKMS builds it" "DKMS wants to be root"
elif [ ${#kernels[@]} != 0 ]; then
	ok "DKMS builds it" dkms_builds \
		"$(basename "$(dirname "${kernels[-1]}")")"
fi

# --- the manual's examples ---------------------------------------------------

# Each begins with a comment that names its file.
extract() { # FILE
	mkdir -p "$out/examples"
	sed -n "/^\t\/\* $1: /,/^[^\t]/p" Documentation/kernel.rst |
		sed -n 's/^\t//p; /^$/p' >"$out/examples/$1"
	[ -s "$out/examples/$1" ]
}

compiles() {
	extract user.c && "${CC:-gcc}" -Wall -Wextra -Werror \
		-o "$out/examples/user" "$out/examples/user.c" -lkcapi
}

compiles_as_module() {
	local said
	extract seal.c && echo 'obj-m := seal.o' >"$out/examples/Kbuild" &&
		said=$(make -s -C "$1" M="$out/examples" W=1 modules 2>&1) ||
		{ echo "$said"; return 1; }
	said=$(grep -Ev "$usual" <<<"$said")
	[ -z "$said" ] || echo "$said"
	[ -z "$said" ]
}

ok "the manual's program compiles" compiles
[ ${#kernels[@]} = 0 ] || ok "and its module" compiles_as_module "${kernels[-1]}"

# --- checkpatch --------------------------------------------------------------

# The kernel's source has it; unpacking takes a while, so it is kept.
find_checkpatch() {
	local source=(/usr/src/linux-source-*.tar.xz) name
	[ ${#source[@]} != 0 ] && have perl || return
	name=$(basename "${source[0]}" .tar.xz)
	checkpatch=$out/$name/scripts/checkpatch.pl
	[ -e "$checkpatch" ] || tar -C "$out" -xf "${source[0]}" \
		"$name"/scripts/{checkpatch.pl,spelling.txt,const_structs.checkpatch}
}

# "TYPE FILE" of all that it says; it leaves a file where it runs.
checkpatch_says() {
	local file
	for file in Kbuild kmod/*.[ch] cipher/*.[ch]; do
		(cd "$out" && perl "$checkpatch" --strict --no-tree \
			--no-summary --terse --show-types -f "$OLDPWD/$file" \
			2>/dev/null)
	done | tee "$out/checkpatch.log" |
		sed -En "s|^$PWD/([^:]*):[0-9]+: [A-Z]+:([A-Z0-9_]+): .*|\2 \1|p" |
		sort -u
}

exceptions() {
	sed -En 's/^([A-Z0-9_]+ [^ \t]+)\t.*/\1/p' kmod/checkpatch.conf | sort -u
}

if find_checkpatch && [ -e "$checkpatch" ]; then
	checkpatch_says >"$out/checkpatch.says"
	exceptions >"$out/checkpatch.exceptions"
	new=$(comm -23 "$out/checkpatch.says" "$out/checkpatch.exceptions")
	[ -z "$new" ] || diag "$(sed "s|$PWD/||" "$out/checkpatch.log")"
	is "checkpatch --strict says nothing unexpected" "$new" ""
	is "checkpatch's exceptions all still occur" "$(comm -13 \
		"$out/checkpatch.says" "$out/checkpatch.exceptions")" ""
else
	skip "checkpatch" "linux-source is not installed"
fi

# --- known answers -----------------------------------------------------------

# Those in the module must be those of the model.
same_vectors() {
	python3 - <<'EOF'
import json, re, sys
text = open("kmod/vectors.h").read()
known = {(v["key"], v["iv"], v["plaintext"], v["ciphertext"])
         for v in json.load(open("tests/vectors/chaosimg.json"))}
entries = re.findall(r"\t\{\n(.*?)\n\t\},", text, re.S)
for entry in entries:
    field = {name: "".join(re.findall(r"\\x(..)", value)) for name, value in
             re.findall(r"\.(\w+) =\n((?:\s+\"[^\"]*\"\n?)+)", entry)}
    size = int(re.search(r"\.len = (\d+)", entry)[1])
    vector = tuple(field[n] for n in ("key", "iv", "plaintext", "ciphertext"))
    if vector not in known or len(vector[2]) != 2 * size:
        sys.exit("not one of chaosimg.json: " + entry)
sys.exit(0 if len(entries) >= 5 else "too few vectors")
EOF
}
ok "the module's known answers are the model's" same_vectors

done_testing
