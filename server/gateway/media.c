/*
 * The modes of media.h. Called by the gateway's door.
 */
#include "server/gateway/media.h"

#include "common/media.h"

enum rb_mode rb_media_mode(const char *content_type)
{
    if (rb_media_is(content_type, "application/json"))
        return RB_MODE_BINARY;
    if (rb_media_is(content_type, "application/cloudevents+json"))
        return RB_MODE_STRUCTURED;
    if (rb_media_is(content_type, "application/cloudevents-batch+json"))
        return RB_MODE_BATCHED;
    return RB_MODE_NONE;
}
