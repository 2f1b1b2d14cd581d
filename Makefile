# make           release build: build/ringbackd, build/ringback
# make debug     the same with ASan and UBSan under build/debug/
# make check     every test (what ./tools/check runs after it installed what they need)
# make bench     the table of the README      make torture   the long bad days
# make fuzz      libFuzzer, SECONDS each      make image     the container image, by buildah
# make install   DESTDIR, PREFIX honoured
PREFIX ?= /usr/local
VERSION := $(shell cat VERSION)
MODE ?= release
PACKAGES := libevent libevent_openssl openssl jansson libpq libcurl libsodium inih libsystemd
LLHTTP ?= /usr/share/llhttp

CC_release := gcc
CC_debug := gcc
CC_fuzz := clang
FLAGS_release := -O2 -D_FORTIFY_SOURCE=2
FLAGS_debug := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
FLAGS_fuzz := -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
LINK_debug := -fsanitize=address,undefined
LINK_fuzz := -fsanitize=address,undefined

# What is made is named; V=1 shows the commands.
ifdef V
SHOW :=
else
SHOW = @echo '  $@';
endif

OUT := build/$(MODE)
CC := $(CC_$(MODE))
CFLAGS ?= -g
ALL_CFLAGS := -std=gnu11 -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
    -Wformat=2 -Wvla -fstack-protector-strong -fPIE $(FLAGS_$(MODE)) $(CFLAGS) \
    -D_GNU_SOURCE -DRB_VERSION='"$(VERSION)"' -I. -I$(OUT)/gen -isystem /usr/share/include/llhttp $(shell pkg-config --cflags $(PACKAGES))
ALL_LDFLAGS := -pie -Wl,-z,relro,-z,now $(LINK_$(MODE)) $(LDFLAGS)
LDLIBS := $(shell pkg-config --libs $(PACKAGES)) -lpthread -lm

COMMON := $(wildcard common/*.c)
SERVER := $(wildcard server/*/*.c) $(filter-out server/main.c,$(wildcard server/*.c))
TOOL := $(wildcard tools/ringback/*.c)
SAMPLE := $(wildcard tools/sample/*.c)
RECEIVER := $(wildcard tools/receiver/*.c)
QUERIES := $(wildcard schema/queries/*.sql)
MIGRATIONS := $(sort $(wildcard schema/migrations/*.sql))
FUNCTIONS := $(sort $(wildcard schema/functions/*.sql))
UNIT := $(patsubst tests/unit/%.c,$(OUT)/tests/%,$(wildcard tests/unit/test_*.c))
FUZZ := $(patsubst tests/fuzz/%.c,$(OUT)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
BENCH_SHARED := $(wildcard tests/bench/lib/*.c)
BENCH := $(patsubst tests/bench/%.c,$(OUT)/bench/%,$(wildcard tests/bench/*.c))
PEERS := $(patsubst tests/peers/%.c,$(OUT)/peers/%,$(wildcard tests/peers/*.c))

obj = $(patsubst %.c,$(OUT)/%.o,$(1))
LLHTTP_O := $(OUT)/llhttp/api.o $(OUT)/llhttp/http.o $(OUT)/llhttp/llhttp.o
DOCUMENTS := $(sort $(wildcard server/console/openapi/*.json))
GEN := $(OUT)/gen/documents.o $(OUT)/gen/queries.o $(OUT)/gen/migrations.o $(OUT)/gen/functions.o
LIB := $(OUT)/libringback.a

.PHONY: all debug programs unit fuzzers bench-programs peers check bench torture fuzz image install clean format lint
all: programs
ifeq ($(MODE),release)
	@ln -sf release/ringbackd build/ringbackd && ln -sf release/ringback build/ringback && \
	    ln -sf release/ringback-sample build/ringback-sample && \
	    ln -sf release/ringback-receiver build/ringback-receiver
endif
debug:
	+@$(MAKE) --no-print-directory MODE=debug programs unit peers
programs: $(OUT)/ringbackd $(OUT)/ringback $(OUT)/ringback-sample $(OUT)/ringback-receiver
unit: $(UNIT)
fuzzers: $(FUZZ)
bench-programs: $(BENCH)
peers: $(PEERS)

$(OUT)/ringbackd: $(OUT)/server/main.o $(LIB)
$(OUT)/ringback: $(call obj,$(TOOL)) $(LIB)
$(OUT)/ringback-sample: $(call obj,$(SAMPLE)) $(LIB)
$(OUT)/ringback-receiver: $(call obj,$(RECEIVER)) $(LIB)
$(OUT)/ringbackd $(OUT)/ringback $(OUT)/ringback-sample $(OUT)/ringback-receiver:
	$(SHOW)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

$(LIB): $(call obj,$(COMMON) $(SERVER)) $(GEN) $(LLHTTP_O)
	@rm -f $@ && ar rcs $@ $^

$(OUT)/tests/%: $(OUT)/tests/unit/%.o $(LIB)
	@mkdir -p $(@D)
	$(SHOW)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka
$(OUT)/tests/test_tool_%: $(OUT)/tests/unit/test_tool_%.o $(call obj,$(filter-out tools/ringback/main.c,$(TOOL))) $(LIB)
	@mkdir -p $(@D)
	$(SHOW)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka
$(OUT)/tests/test_sample: | $(OUT)/ringback-sample
$(OUT)/fuzz/%: $(OUT)/tests/fuzz/%.o $(LIB)
	@mkdir -p $(@D)
	$(SHOW)$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)
$(OUT)/bench/%: $(OUT)/tests/bench/%.o $(call obj,$(BENCH_SHARED)) $(LIB)
	@mkdir -p $(@D)
	$(SHOW)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)
$(OUT)/peers/%: $(OUT)/tests/peers/%.o $(LIB)
	@mkdir -p $(@D)
	$(SHOW)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

$(OUT)/%.o: %.c $(OUT)/flags
	@mkdir -p $(@D)
	$(SHOW)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
$(OUT)/llhttp/%.o: $(LLHTTP)/%.c $(OUT)/flags
	@mkdir -p $(@D)
	$(SHOW)$(CC) $(ALL_CFLAGS) -Wno-error -Wno-all -Wno-extra -Wno-missing-prototypes -Wno-shadow -DLLHTTP_STRICT_MODE=1 -c -o $@ $<
$(OUT)/gen/%.o: $(OUT)/gen/%.c
	$(SHOW)$(CC) $(ALL_CFLAGS) -c -o $@ $<
$(OUT)/gen/queries.c: $(QUERIES)
$(OUT)/gen/migrations.c: $(MIGRATIONS)
$(OUT)/gen/functions.c: $(FUNCTIONS)
$(OUT)/gen/documents.c: $(DOCUMENTS) tools/embed.sh schema/schema.h server/console/openapi
	@mkdir -p $(@D)
	@tools/embed.sh documents $(DOCUMENTS) >$@.tmp && mv $@.tmp $@
$(OUT)/gen/%.c: tools/embed.sh schema/schema.h schema/%
	@mkdir -p $(@D)
	@tools/embed.sh $* $(filter %.sql,$^) >$@.tmp && mv $@.tmp $@

# Objects depend on the flags they were made with, so that another MODE, CFLAGS or VERSION builds anew.
$(OUT)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(subst ','\'',$(ALL_CFLAGS))' | cmp -s - $@ || echo '$(CC) $(subst ','\'',$(ALL_CFLAGS))' >$@
.PHONY: FORCE
FORCE:
.SECONDARY:

check:
	./tools/check
bench:
	./tools/bench
torture:
	tests/torture/run
fuzz:
	tests/fuzz/run $(or $(SECONDS),600)
image:
	docker/build-image
format:
	clang-format -i $$(git ls-files '*.c' '*.h')
lint:
	tests/lint
install: all
	tools/install.sh '$(DESTDIR)' '$(PREFIX)'
clean:
	rm -rf build

-include $(shell find $(OUT) -name '*.d' 2>/dev/null)
