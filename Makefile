# Getools.  'make help' lists the targets.  config.mk, if there is one, may set
# any variable of the first block, and so may the command line.

-include config.mk

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
CC ?= cc
CLANG ?= clang
PKG_CONFIG ?= pkg-config
INSTALL ?= install
CFLAGS ?= $(OPT.$(SAN))
FUZZTIME ?= 60
VERSION = 0.2

# A variant has a build tree of its own: SAN=asan, SAN=tsan.
SAN ?=
ifeq ($(filter $(SAN),asan tsan),$(SAN))
B ?= build$(addprefix -,$(SAN))
else
$(error SAN is asan, tsan or nothing)
endif
OPT. = -O2 -g
OPT.asan = -O1 -g
OPT.tsan = -O1 -g
SANFLAGS.asan = -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
SANFLAGS.tsan = -fsanitize=thread -fno-omit-frame-pointer
SANFLAGS = $(SANFLAGS.$(SAN))

# gcc warns of things that are not there under a sanitizer.
ifneq ($(filter check check-ceph,$(MAKECMDGOALS)),)
WERROR ?= $(if $(SAN),0,1)
endif

PKGS = libisal libcrypto libarchive zlib libcurl expat jansson xgboost
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null)

# Ranks of getrain: Open MPI (ompi-c) or MPICH (mpich), or another of which
# MPI_CFLAGS and MPI_LIBS are given; MPI=0 is none.
MPI ?= $(firstword $(foreach p,ompi-c mpich,\
	$(shell $(PKG_CONFIG) --exists $(p) && echo $(p))) 0)
MPI := $(MPI)
ifneq ($(MPI),0)
MPI_CFLAGS ?= $(patsubst -I%,-isystem %,\
	$(shell $(PKG_CONFIG) --cflags-only-I $(MPI)))
MPI_LIBS ?= $(shell $(PKG_CONFIG) --libs $(MPI))
endif

ifeq ($(shell uname -m),x86_64)
AVX2 = -mavx2 -mfma
AVX512 = $(AVX2) -mavx512f -mavx512dq -mprefer-vector-width=512
endif

STD = -std=c11 -D_POSIX_C_SOURCE=200809L -Ilib
WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition -Wvla -Wpointer-arith -Wwrite-strings -Wundef \
	-Wformat=2 -Wredundant-decls
ifeq ($(SAN),)
HARDEN ?= -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif
COMMON = $(STD) $(WARN) $(PKG_CFLAGS) -fPIE -pthread
COMPILE = $(CC) $(COMMON) $(HARDEN) $(CPPFLAGS) $(CFLAGS) $(SANFLAGS)
LINK = $(CC) $(CFLAGS) $(SANFLAGS) -pie -pthread \
	-Wl,-z,relro,-z,now,--as-needed $(LDFLAGS)
LIBS = $(PKG_LIBS) $(MPI_LIBS) -lm $(LDLIBS)
W = $(if $(filter 1,$(WERROR)),-Werror)
Q = $(if $(V),,@)

LIB = $(filter-out $(if $(filter 0,$(MPI)),%/ranks_mpi.o,%/ranks_none.o),\
	$(patsubst %.c,%.o,$(wildcard lib/*/*.c)))
CLI = $(patsubst %.c,%.o,$(filter-out cmd/ge%,$(wildcard cmd/*.c)))
WORLD = $(patsubst %.c,%.o,$(wildcard tests/fixed/*.c))
NAMES = $(patsubst cmd/%.c,%,$(wildcard cmd/ge*.c))
MAN = $(wildcard man/*.[1-8])
TARGETS = $(filter-out replay corpus,$(patsubst tests/fuzz/%.c,%,\
	$(wildcard tests/fuzz/*.c)))

PROGS = $(NAMES:%=$(B)/bin/%)
FIXED = $(if $(WORLD),$(NAMES:%=$(B)/fixed/%))
UNIT = $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/*.c))
TOOL = $(patsubst tests/tool/%.c,$(B)/tool/%,$(wildcard tests/tool/*.c))
BENCH = $(patsubst tests/bench/%.c,$(B)/bench/%,$(wildcard tests/bench/*.c))
REPLAY = $(TARGETS:%=$(B)/replay/%)
FUZZERS = $(TARGETS:%=build-fuzz/bin/%)
CORPUS = $(if $(TARGETS),$(B)/corpus/made)
SEEDS = $(wildcard tests/vectors/*.vec tests/fuzz/seeds/*.txt)
FAULT = $(B)/fault/sysfault $(B)/fault/failmalloc.so $(B)/fault/notmpfile.so

# What tests/ and contrib/ learn from here.
TESTENV = GE_BUILD='$(abspath $(B))' B='$(abspath $(B))' GE_SAN='$(SAN)' \
	GE_MPI='$(MPI)' \
	GE_CC='$(CC)' GE_CFLAGS='$(COMMON)' PATH="$(abspath $(B))/bin:$$PATH"

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all check check-ceph bite tests bench fuzz demo soak install uninstall dist clean help FORCE

all: $(PROGS)			## the programs, into build/bin

tests: all $(UNIT) $(TOOL) $(FIXED) $(REPLAY) $(CORPUS) $(FAULT)

check: tests			## build and run every test; T=word runs some
	@$(TESTENV) tests/run $(T)

check-ceph: tests		## the suites on S3 again, with Ceph in place of Swift
	@$(TESTENV) GE_S3=ceph tests/run $(or $(T),servers)

bite:				## break lines on purpose and see the checks go red
	@tests/bite $(T)

bench: all $(BENCH)		## measure; published tables too: DATA=dir
	@$(TESTENV) tests/bench/run
	@$(TESTENV) tests/bench/sites
	@$(TESTENV) tests/bench/lm
	@$(TESTENV) tests/bench/tables
	@$(TESTENV) tests/bench/published $(if $(DATA),'$(DATA)')

demo: all			## the product on a tree of yours: TREE=dir
	@$(TESTENV) contrib/demo $(if $(TREE),'$(TREE)')

soak: all			## a year of dying and rotting sites, in minutes
	@$(TESTENV) tests/soak/run

fuzz: $(FUZZERS) $(CORPUS)	## libFuzzer, FUZZTIME=60 seconds a target
	@for t in $(TARGETS); do \
		mkdir -p build-fuzz/corpus/$$t && echo "fuzz $$t" && \
		build-fuzz/bin/$$t -max_total_time=$(FUZZTIME) \
		    -artifact_prefix=build-fuzz/$$t- -print_final_stats=1 \
		    build-fuzz/corpus/$$t $(B)/corpus/$$t || exit 1; \
	done

install: all			## programs and manual pages, under PREFIX
	$(INSTALL) -d '$(DESTDIR)$(BINDIR)'
	$(if $(PROGS),$(INSTALL) -m 755 $(PROGS) '$(DESTDIR)$(BINDIR)')
	@for m in $(MAN); do \
		d='$(DESTDIR)$(MANDIR)'/man$${m##*.} && $(INSTALL) -d "$$d" && \
		echo "$(INSTALL) -m 644 $$m $$d" && \
		$(INSTALL) -m 644 $$m "$$d" || exit 1; \
	done

uninstall:			## remove what install made
	@for p in $(NAMES); do rm -f '$(DESTDIR)$(BINDIR)'/$$p; done
	@for m in $(notdir $(MAN)); do \
		rm -f '$(DESTDIR)$(MANDIR)'/man$${m##*.}/$$m; done

dist:				## getools-VERSION.tar.gz of what is committed
	git archive --prefix=getools-$(VERSION)/ \
		-o getools-$(VERSION).tar.gz HEAD

clean:				## remove every build tree
	rm -rf build build-asan build-tsan build-fuzz

help:				## this list
	@sed -n 's/^\([a-z-]*\):.*##/\1	/p' Makefile
	@echo 'SAN=asan or SAN=tsan: under that sanitizer; V=1: show commands'

# A change of flags rebuilds; -Werror changes no object.
$(B)/flags: FORCE
	@$(PKG_CONFIG) --exists --print-errors $(PKGS) || \
		{ echo 'make: run contrib/setup first' >&2; exit 1; }
	@mkdir -p $(@D)
	@printf '%s\n' '$(COMPILE)' '$(LINK) $(LIBS)' | cmp -s - $@ || \
		printf '%s\n' '$(COMPILE)' '$(LINK) $(LIBS)' >$@

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(COMPILE) $(W) -MMD -MP -c -o $@ $<

$(B)/cmd/cli.o: private COMMON += -DGE_VERSION='"$(VERSION)"'

RANKS = $(B)/lib/model/ranks_mpi.o build-fuzz/lib/model/ranks_mpi.o
$(RANKS): private COMMON += $(MPI_CFLAGS)

# Loops over numbers, and only the fused multiply-adds that are written as such.
$(B)/lib/model/%.o: private CFLAGS += -O3 -ffp-contract=off -fno-math-errno
$(B)/lib/model/ops_avx2.o: private CFLAGS += $(AVX2)
$(B)/lib/model/ops_avx512.o: private CFLAGS += $(AVX512)

$(B)/libge.a: $(LIB:%=$(B)/%)
$(B)/libcli.a: $(CLI:%=$(B)/%)
$(B)/libge.a $(B)/libcli.a:
	@echo "  AR    $@"
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

define link
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(Q)$(LINK) -o $@ $^ $(LIBS)
endef

$(B)/bin/%: $(B)/cmd/%.o $(B)/libcli.a $(B)/libge.a
	$(link)

# The same programs, but nothing random: these objects come before libge.a and
# define all that lib/util/world.c defines.
$(B)/fixed/%: $(B)/cmd/%.o $(B)/libcli.a $(WORLD:%=$(B)/%) $(B)/libge.a
	$(link)


$(B)/unit/%: $(B)/tests/unit/%.o $(B)/libge.a
	$(link)

$(B)/tool/%: $(B)/tests/tool/%.o $(B)/libge.a
	$(link)

$(B)/bench/%: $(B)/tests/bench/%.o $(B)/libge.a
	$(link)

$(B)/replay/%: $(B)/tests/fuzz/%.o $(B)/tests/fuzz/replay.o \
		$(WORLD:%=$(B)/%) $(B)/libge.a
	$(link)

$(B)/fuzz/corpus: $(B)/tests/fuzz/corpus.o
	$(link)

# The inputs of the fuzz targets, from text.
$(B)/corpus/made: $(B)/fuzz/corpus $(SEEDS)
	@echo "  GEN   $(@D)"
	@rm -rf $(@D)
	$(Q)$< $(@D) $(SEEDS)
	@touch $@

# What makes things fail is no part of the product and needs no sanitizer.
$(B)/fault/names.h:
	@mkdir -p $(@D)
	$(Q)echo '#include <sys/syscall.h>' | $(CC) -E -dM - | \
	    sed -n 's/^#define SYS_\([a-z0-9_]*\) .*/{ SYS_\1, "\1" },/p' | \
	    sort >$@

$(B)/fault/sysfault: tests/fault/sysfault.c $(B)/fault/names.h
	@echo "  LINK  $@"
	$(Q)$(CC) -std=c11 $(WARN) $(W) -O2 -g -I$(@D) -o $@ $<

$(B)/fault/%.so: tests/fault/%.c
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(Q)$(CC) -std=c11 $(WARN) $(W) -O2 -g -fPIC -shared -o $@ $<

FUZZCC = $(CLANG) $(COMMON) -O1 -g -fno-omit-frame-pointer \
	-fno-sanitize-recover=all
build-fuzz/%.o: %.c
	@mkdir -p $(@D)
	@echo "  FUZZ  $<"
	$(Q)$(FUZZCC) -fsanitize=fuzzer-no-link,address,undefined -MMD -MP \
		-c -o $@ $<

build-fuzz/bin/%: build-fuzz/tests/fuzz/%.o $(WORLD:%=build-fuzz/%) \
		$(patsubst %,build-fuzz/%,$(filter-out lib/util/world.o,$(LIB)))
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(Q)$(FUZZCC) -fsanitize=fuzzer,address,undefined -pie -o $@ $^ $(LIBS)

-include $(wildcard $(B)/cmd/*.d $(B)/lib/*/*.d $(B)/tests/*/*.d)
-include $(wildcard build-fuzz/lib/*/*.d build-fuzz/tests/*/*.d)
