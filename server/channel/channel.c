/*
 * The list of channels, and what they share.
 */
#include "server/channel/channel.h"

#include <stdio.h>
#include <string.h>

void rb_call_header(struct rb_call *call, const char *name, const char *value)
{
    RB_INVARIANT(call->n_headers < RB_CALL_HEADERS);
    int n = snprintf(call->headers[call->n_headers++], RB_CALL_HEADER_SIZE, "%s: %s", name, value);
    RB_INVARIANT(n > 0 && n < RB_CALL_HEADER_SIZE);
}

const struct rb_channel *rb_channel_find(const char *name)
{
    static const struct rb_channel *const channels[] = {&rb_channel_webhook, &rb_channel_wecom,
                                                        &rb_channel_dingtalk, &rb_channel_email};
    for (size_t i = 0; i < sizeof(channels) / sizeof(channels[0]); i++)
        if (strcmp(channels[i]->name, name) == 0)
            return channels[i];
    return NULL;
}
