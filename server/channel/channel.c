/*
 * The list of channels.
 */
#include "server/channel/channel.h"

#include <string.h>

const struct rb_channel *rb_channel_find(const char *name)
{
    static const struct rb_channel *const channels[] = {&rb_channel_webhook};
    for (size_t i = 0; i < sizeof(channels) / sizeof(channels[0]); i++)
        if (strcmp(channels[i]->name, name) == 0)
            return channels[i];
    return NULL;
}
