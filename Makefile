PG_CONFIG ?= pg_config
# Where this file is: with VPATH not where the build is.
SOURCE := $(or $(VPATH),$(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST)))))

EXTENSION = contact_block
EXTVERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" '$(SOURCE)/$(EXTENSION).control')

MODULE_big = contact_block
OBJS = \
	src/actor.o \
	src/audit.o \
	src/change.o \
	src/contact_block.o \
	src/document.o \
	src/history.o \
	src/lifecycle.o \
	src/model.o \
	src/relations.o \
	src/setup.o \
	src/statements.o \
	src/trigger.o
DATA = $(patsubst $(SOURCE)/%,%,$(wildcard $(SOURCE)/sql/contact_block--*.sql))
# As system headers PostgreSQL's own give no warnings, however many are asked for.
PG_CPPFLAGS = -DCONTACT_BLOCK_VERSION='"$(EXTVERSION)"' \
	-isystem $(shell $(PG_CONFIG) --includedir-server)

# Tests live in test/, their expected output in expected/.
REGRESS = $(sort $(patsubst test/sql/%.sql,%,$(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test
ISOLATION = $(sort $(patsubst test/specs/%.spec,%,$(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=.
# the longest last: with prove --jobs others run beside them
TAP_LONG = $(addprefix test/t/,009_sqlsmith.pl 012_interrupts.pl 013_out_of_memory.pl 008_fuzz.pl)
PROVE_TESTS ?= $(filter-out $(TAP_LONG),$(sort $(wildcard test/t/*.pl))) $(TAP_LONG)
EXTRA_CLEAN = tmp_check log output_iso results

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# PGXS knows no header dependencies, nor that the version is compiled in, and
# makes no folder (which VPATH would find in the source without its full name).
$(OBJS) $(OBJS:.o=.bc): $(wildcard $(SOURCE)/src/*.h) $(SOURCE)/$(EXTENSION).control | $(CURDIR)/src
$(CURDIR)/src:
	mkdir $@

# The TAP tests start servers of their own and need IPC::Run, so they are not
# part of installcheck.
.PHONY: installcheck-tap
# PostgreSQL's modules unset LC_ALL: without this the databases of some would be in SQL_ASCII
installcheck-tap: export LANG = C.UTF-8
installcheck-tap:
	$(prove_installcheck)

# What PGXN takes: the last commit, without what .gitattributes leaves out.
DISTRIBUTION = $(EXTENSION)-$(shell sed -n '0,/"version"/s/.*"version": "\(.*\)".*/\1/p' '$(SOURCE)/META.json')
.PHONY: dist
dist:
	git -C '$(SOURCE)' archive --format zip --prefix=$(DISTRIBUTION)/ HEAD >$(DISTRIBUTION).zip
