/*
 * E-mail addresses, as far as they are taken: ASCII, one @, nothing that would need quotes. Used by the
 * configuration, the tool and the e-mail channel.
 */
#ifndef RB_COMMON_MAIL_H
#define RB_COMMON_MAIL_H

#include <stdbool.h>

#define RB_MAIL_ADDRESS_MOST 254 /* characters, RFC 5321 */

bool rb_mail_address_valid(const char *text);

#endif
