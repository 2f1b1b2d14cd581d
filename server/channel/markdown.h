/*
 * A notification, or a digest of several, in the Markdown that robots take, within a limit of bytes. Pure;
 * used by the robots' channels.
 */
#ifndef RB_SERVER_CHANNEL_MARKDOWN_H
#define RB_SERVER_CHANNEL_MARKDOWN_H

#include "server/channel/words.h"

/* How a robot wants it. */
struct rb_markdown {
    const char *line; /* before each line of a single message: "\n>" */
    const char *item; /* before each one of a digest: "\n· " */
    bool colours;     /* <font color="…"> is known */
    bool button;      /* a single message's link is not in the text: the robot shows a button */
    const char *mark; /* a word in every message, or NULL */
    size_t most;      /* bytes */
};

/*
 * Writes what the notices say to out, whose cap is at least most. Texts are cut between characters, a link
 * never is: it is there whole or not at all. A digest names every one of them: those that do not fit as lines
 * at its end by their references.
 */
void rb_markdown_write(struct rb_buf *out, const struct rb_notice *notices, unsigned n,
                       const struct rb_markdown *style);

#endif
