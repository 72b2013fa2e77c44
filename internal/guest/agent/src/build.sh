#!/bin/sh
# Builds the guest agent. The result is committed beside the sources, so that
# nobody needs a C compiler. A test rebuilds it with the compiler named in
# ./compiler and compares.
set -eu
cd "$(dirname "$0")"
build() {
	out=$1
	shift
	"${CC:-gcc}" -std=gnu11 -Os -Wall -Wextra -Werror -Wno-unused-function \
		-ffreestanding -nostdlib -static -fno-pie -no-pie -fno-stack-protector \
		-fno-asynchronous-unwind-tables -fcf-protection=none -fno-builtin -mno-red-zone \
		-Wl,--build-id=none -Wl,-z,norelro -Wl,-z,noexecstack -Wl,-z,noseparate-code -s \
		-o "$out" "$@"
}
to=${1:-..}
build "$to/agent_linux_amd64" main.c identity.c exec.c become.c program.c streams.c left.c warm.c tree.c tty.c link.c \
	files.c read.c change.c remove.c reset.c wire.c sys.c
build "$to/umount_linux_amd64" umount.c sys.c
build "$to/launch_linux_amd64" launch.c sys.c
