/*
 * When a notification that was not delivered is tried again. Pure; the database adds the pause to its own
 * clock and ends it when the time for the notification is over.
 */
#ifndef RB_SERVER_OUTBOX_RETRY_H
#define RB_SERVER_OUTBOX_RETRY_H

#include <stdint.h>

/*
 * attempt: which one failed, from 1. rest_us: what the target asked for, 0 if it did not. random: any number;
 * all pauses within the jitter come about equally often. The first pause is 7.5 to 12.5 seconds; each is
 * twice the one before, up to 15 minutes, a quarter more or less; never shorter than the rest asked for.
 */
int64_t rb_retry_pause(unsigned attempt, int64_t rest_us, uint32_t random);

#endif
