/*
 * Verifies and makes password hashes (argon2id) in a process of its own with the lowest priority, so that
 * neither the event loop nor PostgreSQL waits 20 ms for one. Tens of thousands of wrong passwords keep only
 * that process busy. Files: hasher (the queue), hashing (the process).
 */
#ifndef RB_SERVER_CONSOLE_HASHER_H
#define RB_SERVER_CONSOLE_HASHER_H

#include <event2/event.h>
#include <stdbool.h>

#include "common/err.h"

struct rb_hasher;

enum { RB_PASSWORD_HASH_SIZE = 128, RB_PASSWORD_MOST = 1023 /* bytes */ };

/* err: RB_OK, or RB_ERR_AWAY when the hasher was freed or the process died meanwhile; matches: the password
 * is the hash's; fresh: a hash with today's parameters, or NULL when none was made. */
typedef void (*rb_hasher_done_fn)(void *ctx, enum rb_err err, bool matches, const char *fresh);

/* queue: most passwords that may wait. */
struct rb_hasher *rb_hasher_new(struct event_base *base, unsigned queue);
/* Ends all that wait with RB_ERR_AWAY. */
void rb_hasher_free(struct rb_hasher *hasher);

/*
 * Verifies password against hash, which may be NULL (nobody has it): that takes as long and never matches.
 * next: a password to make a fresh hash of when the first matches, or NULL: then one is made of password
 * itself when hash has other parameters than today's. Texts are copied, passwords wiped. done comes from the
 * loop. RB_ERR_FULL: too many wait, RB_ERR_TOO_LARGE: a password is too long.
 */
enum rb_err rb_hasher_verify(struct rb_hasher *hasher, const char *hash, const char *password,
                             const char *next, rb_hasher_done_fn done, void *ctx) RB_MUST_CHECK;

#endif
