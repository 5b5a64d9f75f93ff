# `make` builds build/release/dex-lua; `make help` lists the rest.

# Settings: on the command line or in the environment.
CC ?= cc
CFLAGS ?= -O2 -g
LDFLAGS ?= -Wl,-O1,--as-needed
PREFIX ?= /usr/local
DESTDIR ?=
# V=1 shows the commands.
V ?=
# Sanitizers, for a build of its own: `make SAN=address,undefined`.
SAN ?=

ifeq ($(origin CC),default)
CC := cc
endif

comma := ,
Q := $(if $(V),,@)
say = $(if $(V),,@echo '  $(1)')
FLAVOUR := $(if $(SAN),san-$(subst $(comma),-,$(SAN)),release)
B := build/$(FLAVOUR)

WARNINGS := -Wall -Wextra -Wshadow -Wundef -Wstrict-prototypes -Wmissing-prototypes \
	-Wwrite-strings -Wconversion
SAN_FLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer -Werror)
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -Iengine $(LIB_CFLAGS) $(WARNINGS) $(CFLAGS) $(SAN_FLAGS)
ALL_LIBS = $(LDFLAGS) $(SAN_FLAGS) $(LIBS)

SOURCES := $(filter-out %_gen.c,$(wildcard engine/*/*.c))
MAIN := $(B)/engine/front/main.o
OBJECTS := $(SOURCES:%.c=$(B)/%.o) $(B)/embedded.o
CORE := $(filter-out $(MAIN),$(OBJECTS))
UNIT := $(patsubst tests/unit/%.c,$(B)/%,$(wildcard tests/unit/test_*.c))

.DEFAULT_GOAL := build
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: build luatest units fuzzer help demo deps test test-fast test-all check bench format install uninstall \
	clean

build: $(B)/dex-lua ## the program, build/release/dex-lua (the default)

luatest: $(B)/luatest ## build/release/luatest, which runs a Lua file inside the program's VM

units: $(B)/luatest $(UNIT) ## the programs of the tests

fuzzer: ## build/fuzz/fuzz_template and fuzz_http, libFuzzer targets of the template engine and the HTTP surface (clang)
	$(Q)$(MAKE) --no-print-directory B=build/fuzz CC=clang CFLAGS='-O1 -g -Wno-string-plus-int' \
		SAN=address,undefined,fuzzer-no-link build/fuzz/fuzz_template build/fuzz/fuzz_http

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1	\2/p' Makefile | expand -t 20
	@echo 'SAN=address,undefined builds with sanitizers in a folder of its own; PREFIX= and DESTDIR= are install'"'"'s.'

demo: ## install what is missing, build, run examples/flights on a private PostgreSQL
	@tests/deps.sh build run
	@$(MAKE) --no-print-directory build
	@tests/demo.sh $(B)/dex-lua

deps: ## install what building, running and testing need, if anything is missing
	@tests/deps.sh build run test

test: ## every test but those of browsers and of sanitizer builds
	@tests/deps.sh build run test
	@tests/run.sh check unit lua jinja e2e fault

test-fast: ## C unit tests, Lua tests and the templates' corpus, without the command line
	@tests/deps.sh build run test
	@tests/run.sh unit lua jinja

# DONE=test leaves out what `make test` has just run.
test-all: ## everything: `make test`, then the tests in browsers, fuzzing, sanitizer builds, and the long tests
	@tests/deps.sh build run test browser
	@tests/run.sh $(if $(filter test,$(DONE)),,check unit lua jinja e2e fault) long browser fuzz fuzzer san

check: ## layers, sizes, formatting, luacheck, documentation
	@tests/deps.sh test
	@tests/run.sh check

bench: build ## speed, each ratio measured against psql in the same run
	@tests/deps.sh run
	@tests/bench/run.sh $(B)/dex-lua

format: ## clang-format all C files in place
	clang-format -i $(wildcard engine/*/*.[ch] tests/unit/*.[ch])

# What the program makes itself, below PREFIX/share.
MADE := man/man1/dex-lua.1 bash-completion/completions/dex-lua zsh/site-functions/_dex-lua \
	fish/vendor_completions.d/dex-lua.fish

install: build ## into PREFIX (/usr/local), below DESTDIR
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/share/doc/dex-lua'
	install -m 755 $(B)/dex-lua '$(DESTDIR)$(PREFIX)/bin/dex-lua'
	install -m 644 README.md LICENSE '$(DESTDIR)$(PREFIX)/share/doc/dex-lua'
	install -d $(foreach file,$(MADE),'$(DESTDIR)$(PREFIX)/share/$(dir $(file))')
	$(B)/dex-lua help man > '$(DESTDIR)$(PREFIX)/share/man/man1/dex-lua.1'
	$(B)/dex-lua completion bash > '$(DESTDIR)$(PREFIX)/share/bash-completion/completions/dex-lua'
	$(B)/dex-lua completion zsh > '$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_dex-lua'
	$(B)/dex-lua completion fish > '$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/dex-lua.fish'

uninstall: ## remove what install put there
	rm -f '$(DESTDIR)$(PREFIX)/bin/dex-lua'
	rm -f $(foreach file,$(MADE),'$(DESTDIR)$(PREFIX)/share/$(file)')
	rm -rf '$(DESTDIR)$(PREFIX)/share/doc/dex-lua'

clean: ## remove build/
	rm -rf build

# What follows builds. Where the libraries are is asked once, and again when this file changes.
CONFIG := build/config.mk
NEEDS_CONFIG := $(or $(filter-out help demo deps test test-fast test-all check format uninstall fuzzer \
	clean,$(MAKECMDGOALS)),$(if $(MAKECMDGOALS),,build))

ifneq ($(NEEDS_CONFIG),)
include $(CONFIG)

# Other flags, other objects: what was built with the old ones is built again.
FLAGS := $(CC) $(ALL_CFLAGS) $(ALL_LIBS)
ifneq ($(file <$(B)/flags),$(FLAGS))
$(shell mkdir -p $(B))
$(file >$(B)/flags,$(FLAGS))
endif
endif

$(CONFIG): Makefile tests/libs.sh
	@mkdir -p $(@D)
	@tests/libs.sh > $@.new || { rm -f $@.new; exit 1; }
	@mv $@.new $@

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,cc $<)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/embedded.o: $(B)/embedded.c
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(B)/embed_gen: engine/script/embed_gen.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE $(LIB_CFLAGS) $(WARNINGS) -O1 -o $@ $< $(LDFLAGS) $(LIBS)

# Folders are among the dependencies, so that a removed file is noticed, too.
$(B)/embedded.c: $(B)/embed_gen $(shell find lua stdlib ! -name '.*')
	$(call say,embed lua stdlib)
	$(Q)$< $@ lua stdlib

$(B)/dex-lua: $(OBJECTS)
	$(call say,link $@)
	$(Q)$(CC) -o $@ $^ $(ALL_LIBS)

$(B)/luatest $(UNIT): $(B)/%: $(B)/tests/unit/%.o $(CORE)
	$(call say,link $@)
	$(Q)$(CC) -o $@ $^ $(ALL_LIBS) $(TEST_LIBS)

$(B)/fuzz_template $(B)/fuzz_http: $(B)/fuzz_%: $(B)/tests/fuzz/%.o $(CORE)
	$(call say,link $@)
	$(Q)$(CC) -o $@ $^ $(ALL_LIBS) -fsanitize=fuzzer

-include $(SOURCES:%.c=$(B)/%.d) $(B)/tests/unit/luatest.d $(B)/tests/fuzz/template.d $(B)/tests/fuzz/http.d $(UNIT:$(B)/%=$(B)/tests/unit/%.d)
