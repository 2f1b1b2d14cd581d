/*
 * Which of CloudEvents' three modes a Content-Type announces.
 */
#ifndef RB_SERVER_GATEWAY_MEDIA_H
#define RB_SERVER_GATEWAY_MEDIA_H

enum rb_mode { RB_MODE_NONE, RB_MODE_BINARY, RB_MODE_STRUCTURED, RB_MODE_BATCHED };

/* content_type: the header's value or NULL. RB_MODE_NONE: another type, or a charset that is not UTF-8. */
enum rb_mode rb_media_mode(const char *content_type);

#endif
