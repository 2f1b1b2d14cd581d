/*
 * The process that hashes passwords (argon2id): one after the other, asked over a socket of packets. A child
 * of the daemon, so that the kernel gives it only what others leave; see hasher.h, its only caller.
 */
#ifndef RB_SERVER_CONSOLE_HASHING_H
#define RB_SERVER_CONSOLE_HASHING_H

#include <stdbool.h>
#include <sys/types.h>

#include "server/console/hasher.h"

/* One packet there, one back, in order. Texts end with NUL. */
struct rb_hashing_job {
    char hash[RB_PASSWORD_HASH_SIZE]; /* empty: nobody's */
    char password[RB_PASSWORD_MOST + 1];
    char next[RB_PASSWORD_MOST + 1]; /* empty: none */
};
struct rb_hashing_answer {
    bool matches;
    char fresh[RB_PASSWORD_HASH_SIZE]; /* empty: none was made */
};

/*
 * Starts one; *socket receives our end, which does not block and is not inherited. It ends when that is
 * closed, at the latest with the daemon. -1: it cannot be started, errno says why.
 */
pid_t rb_hashing_start(int *socket);

#endif
