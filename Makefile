# SPDX-License-Identifier: GPL-2.0-or-later
# Everything: make, make modules, check, demo, bench, install, dist.

VERSION := 1.0.0
SOVERSION := 1
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
DESTDIR ?=
CC ?= gcc
PKG_CONFIG ?= pkg-config
BUILD ?= build
# SAN=1 builds with AddressSanitizer and UndefinedBehaviorSanitizer, SAN=thread
# with ThreadSanitizer, SAN=fuzz (with clang) for libFuzzer; see make fuzz.
SAN ?=
# V=1 prints whole commands.
V ?=
Q := $(if $(filter 1,$(V)),,@)
# $(call say,WHAT): the short line instead, unless make is to be silent.
silent = $(findstring s,$(filter-out --%,$(firstword -$(MAKEFLAGS))))
say = $(if $(Q),$(if $(silent),,@printf '  %-7s %s\n' '$(1)' '$(@:$(BUILD)/%=%)'))

LIB_PKGS := libcrypto libargon2 json-c libxxhash libkcapi zlib
FUSE_PKGS := fuse3 libseccomp libcap-ng
# Pairings: the system's blst, or one that userlib/get-blst builds. For a build
# without network: BLST_TARBALL=FILE.
ifeq ($(shell $(PKG_CONFIG) --exists libblst 2>/dev/null && echo yes),yes)
LIB_PKGS += libblst
else
BLST := $(BUILD)/blst/libblst.a
BLST_OBJ := $(BUILD)/blst/server.o $(BUILD)/blst/assembly.o
BLST_CFLAGS := -isystem $(BUILD)/blst/include
endif

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wwrite-strings -Wvla -Wundef
CFLAGS ?= -O2 -g
HARDEN := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
ifneq ($(SAN),)
SANITIZERS_1 := address,undefined
SANITIZERS_thread := thread
SANITIZERS_fuzz := fuzzer-no-link,$(SANITIZERS_1)
SANITIZERS := $(or $(SANITIZERS_$(SAN)),$(SANITIZERS_1))
HARDEN := -fsanitize=$(SANITIZERS) -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS += -fsanitize=$(SANITIZERS)
endif
BASE_CFLAGS := -std=gnu11 $(WARN) -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -pthread \
	-DCHAOSIMG_VERSION=\"$(VERSION)\" -MMD -MP -fvisibility=hidden
LIB_CFLAGS := $(BASE_CFLAGS) $(filter-out -fPIE,$(HARDEN)) -fPIC -Iuserlib -Icipher \
	$(BLST_CFLAGS) $(shell $(PKG_CONFIG) --cflags $(LIB_PKGS))
APP_CFLAGS := $(BASE_CFLAGS) $(HARDEN) -Iuserlib
FUSE_CFLAGS := $(APP_CFLAGS) $(shell $(PKG_CONFIG) --cflags $(FUSE_PKGS))
LIB_LIBS := $(shell $(PKG_CONFIG) --libs $(LIB_PKGS)) -pthread
FUSE_LIBS := $(shell $(PKG_CONFIG) --libs $(FUSE_PKGS))

CIPHER_SRC := $(wildcard cipher/*.c)
LIB_SRC := $(wildcard userlib/*.c)
FUSE_SRC := $(wildcard fuse/*.c)
TOOLS_SRC := $(wildcard tools/*.c)
TEST_SRC := $(wildcard tests/unit/*.c)

obj = $(patsubst %.c,$(BUILD)/%.o,$(1))
LIB_OBJ := $(call obj,$(CIPHER_SRC) $(LIB_SRC))
STATIC := $(BUILD)/libchaosimg.a
SHARED := $(BUILD)/libchaosimg.so.$(VERSION)
TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(filter tests/unit/test_%.c,$(TEST_SRC)))
TEST_HELPERS := $(call obj,$(filter-out tests/unit/test_%.c,$(TEST_SRC)))
APPS := $(if $(FUSE_SRC),$(BUILD)/chaosimgfs) $(if $(TOOLS_SRC),$(BUILD)/chaosimg)

.PHONY: all lib tests check demo bench install dist clean
all: $(STATIC) $(SHARED) $(APPS)
lib: $(STATIC) $(SHARED)
tests: $(TESTS)

# The fast implementations' instruction sets; each is entered only where the CPU has them.
MACHINE := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
ifeq ($(MACHINE),x86_64)
$(BUILD)/cipher/aesni.o: EXTRA := -mssse3 -msse4.1 -maes -mpclmul
$(BUILD)/cipher/avx2.o: EXTRA := -maes -mpclmul -mavx2 -mvaes -mvpclmulqdq
$(BUILD)/cipher/avx512.o: EXTRA := -maes -mpclmul -mavx512f -mavx512bw -mavx512vl \
	-mvaes -mvpclmulqdq -mgfni
else ifeq ($(MACHINE),aarch64)
$(BUILD)/cipher/arm64.o: EXTRA := -march=armv8-a+crypto
endif
# gcc 12 gathers bit planes into vectors and scatters them again, at a loss.
$(BUILD)/cipher/generic.o: EXTRA := -fno-tree-vectorize -fno-tree-slp-vectorize
# The cipher is freestanding, here as in the kernel.
$(call obj,$(CIPHER_SRC)): EXTRA += -ffreestanding -O3

$(BUILD)/cipher/%.o: cipher/%.c Makefile | prepare
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(LIB_CFLAGS) $(EXTRA) -c -o $@ $<
$(BUILD)/userlib/%.o: userlib/%.c Makefile | prepare
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(LIB_CFLAGS) -c -o $@ $<
$(BUILD)/fuse/%.o: fuse/%.c Makefile | prepare
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(FUSE_CFLAGS) -c -o $@ $<
$(BUILD)/tools/%.o: tools/%.c Makefile | prepare
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(APP_CFLAGS) -c -o $@ $<
# Unit tests look behind the public header.
$(BUILD)/tests/unit/%.o: tests/unit/%.c Makefile | prepare
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(LIB_CFLAGS) $(shell $(PKG_CONFIG) --cflags cmocka) -Itests/unit -c -o $@ $<

$(call obj,$(wildcard userlib/abe*.c tests/unit/*abe*.c tests/fuzz/*abe*.c)): $(BLST)
ifneq ($(BLST),)
$(BLST): userlib/get-blst
	$(call say,BLST)
	$(Q)CC="$(CC)" AR="$(AR)" userlib/get-blst $(BUILD)/blst
$(BLST_OBJ): $(BLST) ;
endif
$(STATIC): $(LIB_OBJ) $(BLST_OBJ)
	$(call say,AR)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^
$(SHARED): $(LIB_OBJ) $(BLST_OBJ) userlib/libchaosimg.map
	$(call say,LD)
	$(Q)$(CC) -shared $(LDFLAGS) -Wl,-soname,libchaosimg.so.$(SOVERSION) \
		-Wl,--version-script=userlib/libchaosimg.map -o $@ $(LIB_OBJ) $(BLST_OBJ) \
		$(LIB_LIBS)
	$(Q)ln -sf libchaosimg.so.$(VERSION) $(BUILD)/libchaosimg.so.$(SOVERSION)
	$(Q)ln -sf libchaosimg.so.$(VERSION) $(BUILD)/libchaosimg.so
$(BUILD)/chaosimgfs: $(call obj,$(FUSE_SRC)) $(STATIC)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) -pie -o $@ $^ $(FUSE_LIBS) $(LIB_LIBS)
$(BUILD)/chaosimg: $(call obj,$(TOOLS_SRC)) $(STATIC)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) -pie -o $@ $^ $(LIB_LIBS)
$(TESTS): $(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(TEST_HELPERS) $(STATIC)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIB_LIBS) $(shell $(PKG_CONFIG) --libs cmocka)

# --- check, demo, bench ------------------------------------------------------
# The scripts build what they need themselves: each works on a fresh clone.
check:
	./check
demo:
	./demo
# make bench [BENCH="--quick .."]: see tests/bench/run --help.
BENCH ?=
bench:
	tests/lib/deps install build bench || true
	$(MAKE) all benchprogs
	BUILD=$(BUILD) tests/bench/run $(BENCH)

# What the shell tests need besides the programs.
tests: $(BUILD)/tests/findplain $(BUILD)/tests/files_bench $(BUILD)/tests/seal_bench $(BUILD)/tests/mask_file
$(BUILD)/tests/findplain $(BUILD)/tests/hold_open: $(BUILD)/tests/%: tests/lib/%.c Makefile | prepare
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(BASE_CFLAGS) $(HARDEN) $(LDFLAGS) -o $@ $<

# Very many open files; and a daemon that remembers few that are not.
tests: $(BUILD)/tests/hold_open $(BUILD)/tests/chaosimgfs_few
$(BUILD)/tests/chaosimgfs_few: fuse/evict.c $(call obj,$(filter-out fuse/evict.c,$(FUSE_SRC))) \
		$(STATIC) Makefile | prepare
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(FUSE_CFLAGS) -DINODES_MAX=128 $(LDFLAGS) -pie -o $@ \
		$(filter %.c %.o %.a,$^) $(FUSE_LIBS) $(LIB_LIBS)

# The daemon's sandbox, to try every system call in it.
tests: $(BUILD)/tests/sandbox_probe
$(BUILD)/tests/sandbox_probe: tests/lib/sandbox_probe.c $(BUILD)/fuse/sandbox.o Makefile | prepare
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(FUSE_CFLAGS) $(LDFLAGS) -pie -o $@ $(filter %.c %.o,$^) $(FUSE_LIBS)

# What is behind the public header; tests/mask.t looks at what it writes.
$(BUILD)/tests/mask_file: tests/lib/mask_file.c $(STATIC) Makefile | prepare
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(LIB_CFLAGS) $(LDFLAGS) -o $@ $< $(STATIC) $(LIB_LIBS)

# Random operations on a folder against a model.
tests: $(BUILD)/tests/fsx
$(BUILD)/tests/fsx: $(wildcard tests/fsx/*.[ch]) Makefile | prepare
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(filter-out -MMD -MP,$(BASE_CFLAGS)) $(HARDEN) $(LDFLAGS) \
		-o $@ $(filter %.c,$^)

# Makes system calls of the program that it is loaded into fail.
tests: $(BUILD)/tests/faults.so
$(BUILD)/tests/faults.so: tests/faults/preload.c tests/faults/faults.h Makefile | prepare
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(filter-out -MMD -MP,$(BASE_CFLAGS)) -fPIC -shared -o $@ $<

# What crash-states.t records with, and reads what is left with.
tests: $(BUILD)/tests/recorder.so $(BUILD)/tests/readtree
$(BUILD)/tests/recorder.so: tests/lib/recorder.c Makefile | prepare
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(BASE_CFLAGS) -fPIC -shared -o $@ $<
$(BUILD)/tests/readtree: tests/lib/readtree.c $(STATIC) Makefile | prepare
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(LIB_CFLAGS) $(LDFLAGS) -o $@ $< $(STATIC) $(LIB_LIBS)

# The cipher alone, without any library, for a machine that is emulated.
$(BUILD)/tests/cipher_vectors: tests/lib/cipher_vectors.c $(call obj,$(CIPHER_SRC)) \
		Makefile | prepare
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(BASE_CFLAGS) -Icipher $(LDFLAGS) -static -o $@ $(filter %.c %.o,$^)

# Timing leaks of the cipher: for a quiet machine, so not a part of ./check.
# TIMING="-s SECONDS -i IMPLEMENTATION": longer for each test; one of them alone.
.PHONY: check-timing
check-timing: $(BUILD)/tests/timing
	$< $(TIMING)
$(BUILD)/tests/timing: $(wildcard tests/timing/*.[ch]) $(call obj,$(CIPHER_SRC)) \
		Makefile | prepare
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(BASE_CFLAGS) -Icipher $(LDFLAGS) -o $@ \
		$(filter %.c %.o,$^) -lm

# make fuzz: the fuzz targets, in $(BUILD)/fuzz; FUZZ_CC=clang, nothing else is
# built with it. make fuzz-long: each for TIME seconds, new finds in its corpus
# in $(BUILD)/fuzz/corpus; FUZZ="dicom names": only these.
FUZZ_CC ?= clang
FUZZ ?= $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
TIME ?= 3600
.PHONY: fuzz fuzz-long fuzz-targets
fuzz:
	+$(Q)$(MAKE) BUILD=$(BUILD)/fuzz CC=$(FUZZ_CC) SAN=fuzz fuzz-targets
fuzz-long: fuzz
	BUILD=$(BUILD) tests/fuzz/run --time $(TIME) $(FUZZ)
# In the make that fuzz starts, BUILD is the fuzz targets' own folder.
FUZZ_PARTS := $(call obj,$(filter-out tests/fuzz/fuzz_% tests/fuzz/kernel.c,\
	$(wildcard tests/fuzz/*.c)))
fuzz-targets: $(FUZZ:%=$(BUILD)/fuzz_%)
.PRECIOUS: $(BUILD)/tests/fuzz/%.o
$(BUILD)/tests/fuzz/%.o: tests/fuzz/%.c Makefile | prepare
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(LIB_CFLAGS) -Ifuse $(shell $(PKG_CONFIG) --cflags $(FUSE_PKGS)) \
		-c -o $@ $<
$(BUILD)/fuzz_fuse: $(BUILD)/tests/fuzz/kernel.o $(call obj,$(filter-out fuse/main.c,$(FUSE_SRC)))
$(BUILD)/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(FUZZ_PARTS) $(STATIC)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $(filter %.o,$^) $(STATIC) \
		$(FUSE_LIBS) $(LIB_LIBS)

# Tampering with an archive: tests/tamper.t.
tests: $(BUILD)/tests/tamper_archive
TAMPER_OBJ := $(call obj,$(wildcard tests/tamper/*.c) tests/fuzz/kernel.c \
	$(filter-out fuse/main.c,$(FUSE_SRC)))
$(BUILD)/tests/tamper/%.o: tests/tamper/%.c Makefile | prepare
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(APP_CFLAGS) -c -o $@ $<
$(BUILD)/tests/tamper_archive: $(TAMPER_OBJ) $(STATIC)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) -Wl,--wrap=clock_gettime,--wrap=nanosleep -o $@ $^ $(FUSE_LIBS) $(LIB_LIBS)

.PHONY: benchprogs
benchprogs: $(patsubst tests/bench/%.c,$(BUILD)/tests/%,$(wildcard tests/bench/*_bench.c))
# libfuse's example, where its package has it: a mount without any cryptography.
PASSTHROUGH := $(wildcard /usr/share/doc/libfuse3-dev/examples/passthrough_ll.c)
benchprogs: $(if $(PASSTHROUGH),$(BUILD)/tests/passthrough_ll)
$(BUILD)/tests/passthrough_ll: $(PASSTHROUGH) | prepare
	$(call say,CC)
	$(Q)$(CC) -O2 -w -pthread -o $@ $< $(shell $(PKG_CONFIG) --cflags --libs fuse3)
$(BUILD)/tests/%_bench: tests/bench/%_bench.c $(STATIC) Makefile | prepare
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(LIB_CFLAGS) $(LDFLAGS) -o $@ $< $(STATIC) $(LIB_LIBS)

.PHONY: prepare
prepare:
	@mkdir -p $(BUILD)/cipher $(BUILD)/userlib $(BUILD)/fuse $(BUILD)/tools $(BUILD)/tests/unit \
		$(BUILD)/tests/fuzz $(BUILD)/tests/tamper

# "make check" builds a second time, with sanitizers.
clean:
	rm -rf $(BUILD) $(BUILD)-san

-include $(wildcard $(BUILD)/*/*.d $(BUILD)/tests/unit/*.d $(BUILD)/tests/fuzz/*.d \
	$(BUILD)/tests/tamper/*.d)

# --- install and dist ---
# What is installed belongs to one prefix; DESTDIR is put before each path.

BINDIR ?= $(PREFIX)/bin
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
DOCDIR ?= $(PREFIX)/share/doc/chaosimg
UNITDIR ?= $(PREFIX)/lib/systemd/system
INSTALL ?= install

MAN1 := $(sort $(wildcard Documentation/man/*.1))
MAN8 := $(sort $(wildcard Documentation/man/*.8))
# "man chaosimg-init" finds the one page of all subcommands.
SUBCOMMANDS := $(sort $(patsubst tools/cmd_%.c,%,$(wildcard tools/cmd_*.c)))
DOCS := $(wildcard README.md COPYING Documentation/*.rst LICENSES/*)
FILL := sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@LIBDIR@|$(LIBDIR)|g' \
	-e 's|@BINDIR@|$(BINDIR)|g' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|g' \
	-e 's|@VERSION@|$(VERSION)|g' -e 's|@PRIVATE@|$(LIB_PKGS)|g'

.PHONY: install-bin install-lib install-doc
install: install-bin install-lib install-doc

install-bin: all
	$(INSTALL) -d "$(DESTDIR)$(BINDIR)" "$(DESTDIR)$(UNITDIR)" "$(DESTDIR)$(COMPLETIONDIR)"
	$(INSTALL) -m 755 $(APPS) "$(DESTDIR)$(BINDIR)"
	$(INSTALL) -m 644 tools/completion/chaosimg.bash "$(DESTDIR)$(COMPLETIONDIR)/chaosimg"
	ln -sf chaosimg "$(DESTDIR)$(COMPLETIONDIR)/chaosimgfs"
	$(FILL) 'fuse/chaosimgfs@.service.in' >"$(BUILD)/chaosimgfs@.service"
	$(INSTALL) -m 644 "$(BUILD)/chaosimgfs@.service" "$(DESTDIR)$(UNITDIR)"

install-lib: lib
	$(INSTALL) -d "$(DESTDIR)$(LIBDIR)/pkgconfig" "$(DESTDIR)$(INCLUDEDIR)"
	$(INSTALL) -m 644 $(STATIC) $(SHARED) "$(DESTDIR)$(LIBDIR)"
	ln -sf libchaosimg.so.$(VERSION) "$(DESTDIR)$(LIBDIR)/libchaosimg.so.$(SOVERSION)"
	ln -sf libchaosimg.so.$(SOVERSION) "$(DESTDIR)$(LIBDIR)/libchaosimg.so"
	$(INSTALL) -m 644 $(wildcard userlib/chaosimg*.h) "$(DESTDIR)$(INCLUDEDIR)"
	$(FILL) userlib/chaosimg.pc.in >"$(BUILD)/chaosimg.pc"
	$(INSTALL) -m 644 "$(BUILD)/chaosimg.pc" "$(DESTDIR)$(LIBDIR)/pkgconfig"

install-doc: $(BLST)
	$(INSTALL) -d "$(DESTDIR)$(MANDIR)/man1" "$(DESTDIR)$(DOCDIR)"
	$(INSTALL) -m 644 $(MAN1) "$(DESTDIR)$(MANDIR)/man1"
	set -e; for sub in $(SUBCOMMANDS); do \
		ln -sf chaosimg.1 "$(DESTDIR)$(MANDIR)/man1/chaosimg-$$sub.1"; done
ifneq ($(MAN8),)
	$(INSTALL) -d "$(DESTDIR)$(MANDIR)/man8"
	$(INSTALL) -m 644 $(MAN8) "$(DESTDIR)$(MANDIR)/man8"
endif
	$(INSTALL) -m 644 $(DOCS) "$(DESTDIR)$(DOCDIR)"
	$(if $(BLST),$(INSTALL) -m 644 $(BUILD)/blst/LICENSE "$(DESTDIR)$(DOCDIR)/LICENSE.blst")

# What is committed, and nothing else; the same bytes from the same commit.
dist:
	mkdir -p $(BUILD)
	git archive --format=tar --prefix=chaosimg-$(VERSION)/ HEAD | gzip -9n >$(BUILD)/chaosimg-$(VERSION).tar.gz

# --- the kernel module ---
# make modules [KDIR=..]: build/kmod-<kernel release>/chaosimg.ko, for the newest
# kernel whose headers are installed, or for KDIR's. kbuild writes beside what it
# reads, so it gets a folder of links: one for each kernel.

KDIR ?= $(shell ls -d /lib/modules/*/build/ 2>/dev/null | sort -V | tail -n 1)
# As "uname -r" says it; the headers themselves may say it otherwise.
KRELEASE = $(shell sed -n 's/^.define UTS_RELEASE "\(.*\)"$$/\1/p' \
	"$(KDIR)/include/generated/utsrelease.h" 2>/dev/null)
KMOD = $(BUILD)/kmod-$(KRELEASE)
KMOD_SRC := Kbuild $(wildcard cipher/*.[ch] kmod/*.[ch])
# KFLAGS: for kbuild, such as C=2, W=1 or CC=clang.
KFLAGS ?=
KBUILD = $(MAKE) -C "$(KDIR)" M="$(abspath $(KMOD))" $(KFLAGS)

.PHONY: modules modules_install modules_links
modules_links:
	@[ -n "$(KRELEASE)" ] || { echo "No kernel headers in \"$(KDIR)\"; \
	install them (linux-headers-amd64) or name them with KDIR=." >&2; exit 1; }
	@for file in $(KMOD_SRC); do mkdir -p "$(KMOD)/$$(dirname $$file)" && \
		ln -sf "$(CURDIR)/$$file" "$(KMOD)/$$file" || exit; done
modules: modules_links
	+$(KBUILD) modules
# SIGN_KEY and SIGN_CERT: sign with these, for kernels that ask for it. The key
# that kbuild would sign with is the distribution's. Headers alone have no
# System.map, and without it kbuild leaves out depmod.
modules_install: modules
	$(if $(SIGN_KEY),"$(KDIR)/scripts/sign-file" sha256 "$(SIGN_KEY)" \
		"$(SIGN_CERT)" "$(KMOD)/chaosimg.ko")
	+$(KBUILD) CONFIG_MODULE_SIG_ALL= modules_install
	depmod -b "$(or $(INSTALL_MOD_PATH),/)" "$(KRELEASE)"

# For "dkms install chaosimg/$(VERSION)".
DKMS_DIR = $(DESTDIR)/usr/src/chaosimg-$(VERSION)
.PHONY: install-dkms
install-dkms:
	$(INSTALL) -d "$(DKMS_DIR)/cipher" "$(DKMS_DIR)/kmod"
	$(INSTALL) -m 644 Kbuild kmod/dkms.conf "$(DKMS_DIR)"
	$(INSTALL) -m 644 cipher/*.[ch] "$(DKMS_DIR)/cipher"
	$(INSTALL) -m 644 kmod/*.[ch] "$(DKMS_DIR)/kmod"

# --- tests of the module, in a virtual machine ---
# make check-kernel [KERNELS="6.1 6.12"]: all kselftests in Debian's kernels.
# make check-debug-kernel: in one that is built with every checker on.
# make check-kernel-tree: the same as a part of a kernel tree.
# make guest [KERNEL=..] [TEST=..]: some of them. make guest-shell: look around.

KERNELS ?= 6.1 6.12
KERNEL ?= 6.12
TEST ?=

.PHONY: kselftest check-kernel check-debug-kernel check-kernel-tree guest guest-shell
kselftest: lib
	@mkdir -p $(BUILD)/kselftest
	+$(MAKE) -C tests/kselftest OUTPUT="$(abspath $(BUILD))/kselftest" \
		CHAOSIMG="$(abspath $(BUILD))" CHAOSIMG_INCLUDE="$(CURDIR)/userlib" \
		CC="$(CC)"
check-kernel:
	BUILD=$(BUILD) KERNELS="$(KERNELS)" prove --exec '' --directives tests/kernel.t
check-kernel-tree:
	BUILD=$(BUILD) tests/qemu/kernel-tree
check-debug-kernel:
	BUILD=$(BUILD) KERNELS=debug prove --exec '' --directives tests/kernel.t
guest guest-shell:
	BUILD=$(BUILD) tests/qemu/build $(KERNEL)
	BUILD=$(BUILD) tests/qemu/run $(KERNEL) $(if $(filter guest,$@),$(TEST),--shell)
