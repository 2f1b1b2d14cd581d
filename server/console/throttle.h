/*
 * Names and addresses of which the database said a moment ago that no try of theirs is looked at. Spares it
 * the question, so that a flood of guesses costs next to nothing. What is remembered is believed for a second
 * at most; the counting itself is the database's.
 */
#ifndef RB_SERVER_CONSOLE_THROTTLE_H
#define RB_SERVER_CONSOLE_THROTTLE_H

#include <stdint.h>
#include <sys/socket.h>

struct rb_throttle;

struct rb_throttle *rb_throttle_new(void);
void rb_throttle_free(struct rb_throttle *throttle);

/* Seconds that a try with this name from this address must still wait, 0 when nothing is remembered. now:
 * monotonic µs. IPv6 counts by its /64. */
int64_t rb_throttle_wait(const struct rb_throttle *throttle, const char *name, const struct sockaddr *address,
                         int64_t now);
/* Remembers what the database said; 0 is nothing. */
void rb_throttle_note_name(struct rb_throttle *throttle, const char *name, int64_t seconds, int64_t now);
void rb_throttle_note_address(struct rb_throttle *throttle, const struct sockaddr *address, int64_t seconds,
                              int64_t now);

#endif
