/*
 * What an address looks like, see mail.h: the dot-atoms of RFC 5322, so that none can end a header or an SMTP
 * command, or add a recipient.
 */
#include "common/mail.h"

#include <string.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* Words of these characters with single dots between them. */
static bool is_dotted(const char *text, size_t len, const char *allowed)
{
    if (!len || text[0] == '.' || text[len - 1] == '.')
        return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] == '.' ? text[i - 1] == '.' : !text[i] || !strchr(allowed, text[i]))
            return false;
    return true;
}

bool rb_mail_address_valid(const char *text)
{
    const char *at = strchr(text, '@');
    return at && strlen(text) <= RB_MAIL_ADDRESS_MOST && at - text <= 64 &&
           is_dotted(text, (size_t)(at - text), LETTERS "!#$%&'*+-/=?^_`{|}~") &&
           is_dotted(at + 1, strlen(at + 1), LETTERS "-");
}
