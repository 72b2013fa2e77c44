// The guest agent: first process of a box, one static binary. It reads frames
// from descriptor 3, keeps files and programs, and reaps. One thread, one poll
// loop; a program's output is read only when the host takes it, so a flooding
// program blocks in its own write.
#ifndef BRIG_AGENT_H
#define BRIG_AGENT_H

#include "wire.h"

enum {
	USER_ID = 1000, // programs run as this user and group
	SEED_LEN = 64,
	PATH_LEN = 4096,
};

struct config {
	const char *root; // prefix of /work for the rung without a boundary, or 0
	uint8_t seed[SEED_LEN];
};
extern struct config config;

// dirent64 is what getdents64 gives.
struct dirent64 {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

// inside maps a path of the protocol to one of this mount namespace.
// It returns 0 when the result is too long.
const char *inside(const char *path, char *buf);

// identity.c
long set_names(const char *hostname, const char *machine_id);

// Whom something that is made belongs to.
struct owner {
	uint32_t uid, gid;
};
// take_owner takes what a request may end with, a uid and a gid; without them it is
// the user as which programs run.
struct owner take_owner(struct fields *f);

// files.c
void file_put(uint32_t stream, struct fields *f);
void file_data(uint32_t stream, const uint8_t *p, uint32_t n);
void file_end(uint32_t stream);
void file_forget(void);

// read.c
void file_get(uint32_t stream, struct fields *f);
void file_read(uint32_t stream, struct fields *f);
void file_stat(uint32_t stream, struct fields *f);
void file_list(uint32_t stream, struct fields *f);

// change.c
void file_mkdir(uint32_t stream, struct fields *f);
void file_remove(uint32_t stream, struct fields *f);
void file_rename(uint32_t stream, struct fields *f);
void file_symlink(uint32_t stream, struct fields *f);
long make_parents(char *path, struct owner owner);

// remove.c
long empty_dir(const char *path, int quiet);

// reset.c
void reset_all(uint32_t stream);

// exec.c, warm.c, program.c, streams.c
enum { MAX_PROGRAMS = 128, MAX_LINKS = 256, MAX_LEFT = 64, MAX_POLL = 2 + MAX_PROGRAMS * 4 + MAX_LINKS + MAX_LEFT };
void exec_start(uint32_t stream, uint8_t *payload, uint32_t n);
void exec_prime(uint32_t stream);
void exec_attach(uint32_t stream, struct fields *f);
void exec_detach(void);
void exec_stdin(uint32_t stream, const uint8_t *p, uint32_t n);
void exec_stdin_eof(uint32_t stream);
void exec_window(uint32_t stream, struct fields *f);
void exec_signal(uint32_t stream, struct fields *f);
void exec_resize(uint32_t stream, struct fields *f);
int exec_poll_set(struct pollfd *set);
void exec_poll_done(const struct pollfd *set, int n);
void exec_reap(void);
void exec_watch(void);
int exec_running(void);
void exec_freeze(void);
int exec_frozen(void);
void exec_thaw(void);
void exec_kill_all(void);
void send_window(uint32_t stream, uint32_t n);

// left.c
int left_poll_set(struct pollfd *set);
void left_poll_done(const struct pollfd *set, int n);

// link.c; some say whether the stream is one of theirs
void link_dial(uint32_t stream, struct fields *f);
void link_watch(uint32_t stream, struct fields *f);
int link_stdin(uint32_t stream, const uint8_t *p, uint32_t n);
int link_stdin_eof(uint32_t stream);
int link_window(uint32_t stream, uint32_t n);
void link_hang_up(uint32_t stream);
int link_poll_set(struct pollfd *set);
void link_poll_done(const struct pollfd *set, int n);
void link_forget(void);

#endif
