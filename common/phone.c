/*
 * Telephone numbers of common/phone.h: called for callers of events, for the files of the import and for the
 * console's search, so that all three meet in one spelling. Two steps: reading takes signs away until digits,
 * a plus and the places of dashes are left; deciding finds what kind of number the digits are. Guesses no
 * number that the text does not have: what fits no kind is none.
 */
#include "common/phone.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/utf8.h"

#define TEXT_MAX 200      /* bytes of a text that can be a number */
#define DIGITS_MAX 31     /* more than any number with its prefixes */
#define EXTENSION_MAX 6   /* digits; more of them are a second number */
#define CUTS_MAX 12       /* dashes; with more it is no number */
#define FOREIGN_MIN 7     /* digits of a number with its country */
#define FOREIGN_MAX 15    /* E.164 */
#define CARRIER_DIGITS 5U /* 17951 and its like, once dialled before a number to choose a carrier */

struct reading {
    char digits[DIGITS_MAX + 1];
    size_t n;
    bool plus;
    size_t cuts[CUTS_MAX]; /* numbers of digits before each dash */
    size_t n_cuts;
    bool extension; /* a word for one was there: what follows is not of the number */
    size_t n_extension;
};

/* --- reading --- */

enum sign { SIGN_OTHER, SIGN_DIGIT, SIGN_PLUS, SIGN_DASH, SIGN_BLANK, SIGN_EXTENSION, SIGN_COLON };

struct range {
    uint32_t first, last;
    enum sign sign;
};

static const struct range ranges[] = {
    {'\t', '\r', SIGN_BLANK},     {' ', ' ', SIGN_BLANK},
    {'#', '#', SIGN_EXTENSION},   {'(', ')', SIGN_BLANK},
    {'*', '*', SIGN_EXTENSION},   {'+', '+', SIGN_PLUS},
    {',', ',', SIGN_EXTENSION},   {'-', '-', SIGN_DASH},
    {'.', '/', SIGN_BLANK},       {'0', '9', SIGN_DIGIT},
    {':', ':', SIGN_COLON},       {'=', '=', SIGN_COLON},
    {'[', '[', SIGN_BLANK},       {']', ']', SIGN_BLANK},
    {0x00a0, 0x00a0, SIGN_BLANK},                               /* no-break space */
    {0x00ad, 0x00ad, SIGN_DASH},                                /* soft hyphen */
    {0x00b7, 0x00b7, SIGN_BLANK},                               /* middle dot */
    {0x1680, 0x1680, SIGN_BLANK}, {0x2000, 0x200f, SIGN_BLANK}, /* spaces of all widths, marks of direction */
    {0x2010, 0x2015, SIGN_DASH},  {0x2022, 0x2022, SIGN_BLANK}, /* bullet */
    {0x2028, 0x202f, SIGN_BLANK},                               /* what address books wrap around numbers */
    {0x2043, 0x2043, SIGN_DASH},  {0x205f, 0x2060, SIGN_BLANK},
    {0x2066, 0x2069, SIGN_BLANK}, {0x2212, 0x2212, SIGN_DASH}, /* minus */
    {0x3000, 0x3000, SIGN_BLANK},                              /* ideographic space */
    {0x3010, 0x3011, SIGN_BLANK},                              /* lenticular brackets */
    {0x30fb, 0x30fb, SIGN_BLANK},                              /* katakana middle dot */
    {0x30fc, 0x30fc, SIGN_DASH},                               /* what Asian keyboards give for a dash */
    {0xfe58, 0xfe58, SIGN_DASH},  {0xfe63, 0xfe63, SIGN_DASH},
    {0xfeff, 0xfeff, SIGN_BLANK}, {0xff03, 0xff03, SIGN_EXTENSION}, /* full-width forms from here */
    {0xff08, 0xff09, SIGN_BLANK}, {0xff0a, 0xff0a, SIGN_EXTENSION},
    {0xff0b, 0xff0b, SIGN_PLUS},  {0xff0c, 0xff0c, SIGN_EXTENSION},
    {0xff0d, 0xff0d, SIGN_DASH},  {0xff0e, 0xff0f, SIGN_BLANK},
    {0xff10, 0xff19, SIGN_DIGIT}, {0xff1a, 0xff1a, SIGN_COLON},
};

static enum sign sign_of(uint32_t code)
{
    size_t low = 0, high = sizeof(ranges) / sizeof(ranges[0]);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (code > ranges[middle].last)
            low = middle + 1;
        else if (code < ranges[middle].first)
            high = middle;
        else
            return ranges[middle].sign;
    }
    return SIGN_OTHER;
}

/* Bytes of a word for "extension" at the start of text, 0 when there is none. */
static size_t extension_word(const char *text, size_t len)
{
    static const char *const words[] = {"extension", "extn", "ext", "x", "转", "轉", "分机", "分機", "内线"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t n = strlen(words[i]);
        if (n <= len && strncasecmp(text, words[i], n) == 0)
            return n;
    }
    return 0;
}

static bool add_digit(struct reading *reading, char digit)
{
    if (reading->extension) {
        reading->n_extension++;
        return reading->n_extension <= EXTENSION_MAX;
    }
    if (reading->n == DIGITS_MAX)
        return false;
    reading->digits[reading->n++] = digit;
    return true;
}

static bool add_cut(struct reading *reading)
{
    size_t n = reading->n_cuts;
    if (reading->extension || reading->n == 0 || (n && reading->cuts[n - 1] == reading->n))
        return true;
    if (n == CUTS_MAX)
        return false;
    reading->cuts[reading->n_cuts++] = reading->n;
    return true;
}

/* False when the sign cannot stand here. */
static bool add_sign(struct reading *reading, enum sign sign, uint32_t code)
{
    switch (sign) {
    case SIGN_DIGIT:
        return add_digit(reading, (char)('0' + (code - '0') % (0xff10 - '0')));
    case SIGN_PLUS:
        if (reading->n || reading->plus)
            return false;
        reading->plus = true;
        return true;
    case SIGN_DASH:
        return add_cut(reading);
    case SIGN_BLANK:
        return true;
    case SIGN_EXTENSION:
        reading->extension = true;
        return reading->n > 0 && reading->n_extension == 0;
    case SIGN_COLON:
        return reading->extension && reading->n_extension == 0;
    default:
        return false;
    }
}

static bool read_text(const char *text, size_t len, struct reading *reading)
{
    for (size_t i = 0; i < len;) {
        uint32_t code;
        size_t n = rb_utf8_decode(text + i, len - i, &code);
        if (!n)
            return false;
        enum sign sign = sign_of(code);
        if (reading->n && len - i >= 3 && memcmp(text + i, "(0)", 3) == 0) {
            n = 3; /* "+44 (0)20": the zero is for those who call from inside */
            sign = SIGN_BLANK;
        } else if (sign == SIGN_OTHER) {
            n = extension_word(text + i, len - i);
            sign = n ? SIGN_EXTENSION : SIGN_OTHER;
        }
        if (!add_sign(reading, sign, code))
            return false;
        i += n;
    }
    reading->digits[reading->n] = '\0';
    return reading->n > 0;
}

/* --- deciding: each returns whether digits are a number of its kind and then writes it --- */

static bool write_number(char out[RB_PHONE_SIZE], const char *prefix, const char *a, const char *b)
{
    return snprintf(out, RB_PHONE_SIZE, "%s%s%s", prefix, a, b) < RB_PHONE_SIZE;
}

static bool is_mobile(const char *digits, size_t n)
{
    return n == 11 && digits[0] == '1' && digits[1] >= '3';
}

/* Digits of the area code that digits start with (no trunk zero), 0 when they start with none. */
static size_t area_digits(const char *digits)
{
    if (digits[0] == '2' || (digits[0] == '1' && digits[1] == '0'))
        return 2;
    return digits[0] >= '3' ? 3 : 0;
}

/* 12313, 10086, 95588, 961199: what every area has under the same number. */
static bool is_service(const char *digits, size_t n)
{
    if (n == 5 && digits[0] == '1' && digits[1] <= '2')
        return true;
    return (n == 5 || n == 6) && digits[0] == '9' && (digits[1] == '5' || digits[1] == '6');
}

/* A landline without its trunk zero: area and subscriber, or area and a service number (12313 of there). */
static bool is_landline(const char *digits, size_t n)
{
    size_t area = area_digits(digits);
    if (!area || n <= area)
        return false;
    size_t subscriber = n - area;
    return subscriber == 8 || (subscriber == 7 && area == 3) || is_service(digits + area, subscriber);
}

static bool is_toll_free(const char *digits, size_t n)
{
    return n == 10 && (memcmp(digits, "400", 3) == 0 || memcmp(digits, "800", 3) == 0);
}

static bool is_short(size_t n)
{
    return n >= 3 && n <= 6;
}

/* Behind +86: the trunk zero is often left where it does not belong. */
static bool decide_chinese(const char *digits, size_t n, char out[RB_PHONE_SIZE])
{
    if (is_short(n) && (digits[0] == '1' || digits[0] == '9'))
        return write_number(out, "", digits, "");
    if (is_toll_free(digits, n))
        return write_number(out, "+86", digits, "");
    if (n && digits[0] == '0') {
        digits++;
        n--;
    }
    return (is_mobile(digits, n) || is_landline(digits, n)) && write_number(out, "+86", digits, "");
}

static bool decide_international(const char *digits, size_t n, char out[RB_PHONE_SIZE])
{
    if (n >= 2 && memcmp(digits, "86", 2) == 0)
        return decide_chinese(digits + 2, n - 2, out);
    return n >= FOREIGN_MIN && n <= FOREIGN_MAX && digits[0] != '0' && write_number(out, "+", digits, "");
}

/* Numbers that are whole and Chinese without a doubt. */
static bool decide_definite(const char *digits, size_t n, bool plus, char out[RB_PHONE_SIZE])
{
    if (!plus && n > 2 && memcmp(digits, "00", 2) == 0)
        return memcmp(digits + 2, "86", 2) == 0 && decide_chinese(digits + 4, n - 4, out);
    if (n > 11 && memcmp(digits, "86", 2) == 0)
        return decide_chinese(digits + 2, n - 2, out);
    if (plus)
        return false;
    if (is_mobile(digits, n) || is_toll_free(digits, n))
        return write_number(out, "+86", digits, "");
    return digits[0] == '0' && n > 1 && digits[1] != '0' && decide_chinese(digits, n, out);
}

static bool decide_local(const char *digits, size_t n, const char *area_code, char out[RB_PHONE_SIZE])
{
    if (!area_code || (n != 7 && n != 8) || digits[0] < '2')
        return false;
    const char *area = area_code + (area_code[0] == '0');
    size_t area_n = area_digits(area);
    if (!area_n || area_n != strlen(area) || strspn(area, "0123456789") != area_n || (area_n == 2 && n == 7))
        return false;
    return write_number(out, "+86", area, digits);
}

/* What remains: an area without its trunk zero, a number behind a carrier's code. */
static bool decide_rest(const char *digits, size_t n, char out[RB_PHONE_SIZE])
{
    if (n >= 10 && memcmp(digits, "86", 2) == 0) /* no area starts so */
        return decide_chinese(digits + 2, n - 2, out);
    if (n >= 10 && is_landline(digits, n))
        return write_number(out, "+86", digits, "");
    bool carrier = n > CARRIER_DIGITS + 10 && digits[0] == '1' &&
                   (digits[1] == '1' || digits[1] == '2' || memcmp(digits + 1, "79", 2) == 0);
    return carrier && decide_definite(digits + CARRIER_DIGITS, n - CARRIER_DIGITS, false, out);
}

/* Tries the number up to each dash, then the whole: "0416-2345678-801" is whole before the 801. */
static bool decide_cut(const struct reading *reading, const char *area_code, char out[RB_PHONE_SIZE])
{
    for (size_t i = 0; i <= reading->n_cuts; i++) {
        size_t n = i < reading->n_cuts ? reading->cuts[i] : reading->n;
        char digits[DIGITS_MAX + 1];
        if (reading->n - n > EXTENSION_MAX)
            continue;
        memcpy(digits, reading->digits, n);
        digits[n] = '\0';
        if (area_code ? decide_local(digits, n, area_code, out)
                      : decide_definite(digits, n, reading->plus, out))
            return true;
    }
    return false;
}

static bool decide(const struct reading *reading, const char *area_code, char out[RB_PHONE_SIZE])
{
    const char *digits = reading->digits;
    size_t n = reading->n;
    if (decide_cut(reading, NULL, out))
        return true;
    if (reading->plus || (n > 2 && memcmp(digits, "00", 2) == 0)) {
        size_t zeros = strspn(digits, "0"); /* "+0086" is both at once */
        return (zeros == 0 || zeros == 2) && decide_international(digits + zeros, n - zeros, out);
    }
    if (is_short(n)) /* "138****1234" hides a number and is none */
        return !reading->extension && write_number(out, "", digits, "");
    return (area_code && decide_cut(reading, area_code, out)) || decide_rest(digits, n, out);
}

/* --- URIs --- */

static bool starts_with(const char *text, size_t len, const char *word)
{
    return len >= strlen(word) && strncasecmp(text, word, strlen(word)) == 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t decode_percent(char *text, size_t len)
{
    size_t out = 0;
    for (size_t i = 0; i < len; i++, out++) {
        text[out] = text[i];
        if (text[i] == '%' && len - i > 2 && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
            text[out] = (char)(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
            i += 2;
        }
    }
    return out;
}

/* Finds the part of text that is the number: of "name" <sip:user;x=y:password@host>, user. Returns whether it
 * stood in a URI. */
static bool find_user_part(const char **text, size_t *len)
{
    const char *from = memchr(*text, '<', *len);
    if (from) {
        *len -= (size_t)(++from - *text);
        *text = from;
        const char *close = memchr(from, '>', *len);
        *len = close ? (size_t)(close - from) : *len;
    }
    while (*len && (**text == ' ' || **text == '\t')) {
        ++*text;
        --*len;
    }
    size_t scheme = 0;
    if (starts_with(*text, *len, "sips:"))
        scheme = 5;
    else if (starts_with(*text, *len, "sip:") || starts_with(*text, *len, "tel:"))
        scheme = 4;
    *text += scheme;
    *len -= scheme;
    for (size_t i = 0; i < *len; i++) {
        char c = (*text)[i];
        if (c == '@' || (scheme && (c == ';' || c == ':' || c == '?')))
            *len = i;
    }
    return scheme > 0;
}

bool rb_phone_normalize(const char *text, size_t len, const char *area_code, char out[RB_PHONE_SIZE])
{
    char copy[TEXT_MAX];
    struct reading reading = {.n = 0};
    bool uri = find_user_part(&text, &len);
    if (len == 0 || len > sizeof(copy))
        return false;
    memcpy(copy, text, len);
    if (uri)
        len = decode_percent(copy, len);
    return read_text(copy, len, &reading) && decide(&reading, area_code, out);
}
