/*
 * A notification in words for people: what robots and mail say is made here from the CloudEvent that a
 * webhook would receive. What a retailer said or is called reaches the reader as text and never as markup,
 * link or mention. Pure; used by the channels only.
 */
#ifndef RB_SERVER_CHANNEL_WORDS_H
#define RB_SERVER_CHANNEL_WORDS_H

#include <jansson.h>
#include <stdbool.h>

#include "common/buf.h"
#include "server/channel/channel.h"

/* Texts are borrowed from event and message; "" for what is missing. */
struct rb_notice {
    json_t *event;
    const char *what; /* "逾期" */
    const char *kind; /* "投诉" */
    const char *reference;
    const char *code; /* of the retailer */
    const char *name;
    const char *phone; /* the caller's, else the retailer's first */
    const char *text;
    const char *owner;
    const char *due;
    const char *url;
    long tries;  /* so often he was tried to be reached, and was not */
    bool test;   /* of the target, about nothing */
    bool secret; /* a report of an offence: whose it is and what it says stays in the console */
};

/* RB_ERR_INVALID: the message's body is no notification. */
enum rb_err rb_notice_read(const struct rb_message *message, struct rb_notice *notice) RB_MUST_CHECK;
void rb_notice_clear(struct rb_notice *notice);

/*
 * All messages of a digest, at most RB_DIGEST_MOST; *n says how many. RB_ERR_INVALID: one of them is no
 * notification; the caller clears them in either case.
 */
enum rb_err rb_notices_read(const struct rb_message *message, struct rb_notice notices[RB_DIGEST_MOST],
                            unsigned *n) RB_MUST_CHECK;
void rb_notices_clear(struct rb_notice *notices, unsigned n);

/* Adds text in at most `most` bytes, cut between characters with "…" when it is longer: on one line, without
 * control characters, and nothing in it that a client would make a link. markup: nor anything that Markdown
 * would read as such. */
void rb_words_add(struct rb_buf *out, const char *text, size_t most, bool markup);

/* "【逾期】投诉 1000000412 福源便利店": what a list or a subject calls it, in at most 200 bytes. */
void rb_words_title(struct rb_buf *out, const struct rb_notice *notice, bool markup);

#endif
