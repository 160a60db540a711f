# SPDX-License-Identifier: Apache-2.0
# Mailboat: `make run` shows it, `make test` proves it. Both install what is
# missing (Debian packages, through sudo when not root), and build first.

BUILD  := build
# Options of its configuration; those of a folder that was built otherwise must be given with BUILD.
OPTIONS := -Dtests=false
PREFIX ?= /usr/local
DESTDIR ?=
# Options of the demo for `make run`: make run DEMO=--once ends when the message has arrived.
DEMO ?=
# Configures where it must, then builds; the folder is for the program alone, tests/run keeps its own beside it.
BUILD_PROGRAM = @tools/build $(BUILD) $(OPTIONS) mailboat

.PHONY: all run test bench soak fuzz fuzz-coverage clients install deb packages test-packages clean

all: packages
	$(BUILD_PROGRAM)

run: all
	@$(BUILD)/mailboat demo $(DEMO)

test: packages test-packages
	@tests/run

bench: packages test-packages
	$(BUILD_PROGRAM)
	@bench/run

soak: packages test-packages
	$(BUILD_PROGRAM)
	@bench/soak --connections 10000 --minutes 30 --waiting 1000000

fuzz: packages test-packages
	@tests/run --only fuzz --fuzz-seed 0 --fuzz-seconds $(or $(SECONDS_EACH),600)

fuzz-coverage: packages test-packages
	@fuzz/coverage --write

clients: all test-packages
	@tests/run --only clients

install: all
	@DESTDIR="$(DESTDIR)" packaging/install "$(BUILD)/mailboat" "$(PREFIX)"

deb: all
	@packaging/make-deb "$(BUILD)"

packages:
	@tools/install-packages build

test-packages:
	@tools/install-packages test

clean:
	rm -rf $(BUILD) $(BUILD)-*
