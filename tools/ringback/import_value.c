/*
 * Cells of import_value.h. Pure, so that the unit tests can go through every form. What depends on other rows
 * or on the database (unknown codes, keys twice) is decided in schema/functions/5*.sql.
 */
#include "tools/ringback/import_value.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/phone.h"
#include "common/utf8.h"

#define NOTHING "\\N"
#define MOST_DIGITS 10
#define MOST_CODE 64   /* characters of one code in a list */
#define SHOWN_SIZE 164 /* 40 characters of a cell, an ellipsis and the NUL */

/* Bytes of the white space that text begins with, at most one character; 0: none. */
static size_t leading_space(const char *text)
{
    static const char *const spaces[] = {" ", "\t", "\u3000", "\u00a0", "\r", "\n"};
    for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
        if (strncmp(text, spaces[i], strlen(spaces[i])) == 0)
            return strlen(spaces[i]);
    }
    return 0;
}

char *import_trim(char *text)
{
    size_t space;
    while ((space = leading_space(text)) > 0)
        text += space;
    char *end = text;
    for (char *c = text; *c;) {
        space = leading_space(c);
        c += space ? space : 1;
        if (!space)
            end = c;
    }
    *end = 0;
    return text;
}

/* C0 and C1 controls, and the separators that some programs take for line breaks. A text may have several
 * lines. */
static bool holds_control(const char *text, bool may_break)
{
    size_t left = strlen(text), n;
    uint32_t code;
    for (; left > 0; text += n, left -= n) {
        n = rb_utf8_decode(text, left, &code);
        if (may_break && (code == '\n' || code == '\r' || code == '\t'))
            continue;
        if (n == 0 || code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029)
            return true;
    }
    return false;
}

/* A cell as a reason shows it: its first 40 characters. */
static const char *shown(const char *cell, char out[SHOWN_SIZE])
{
    size_t len = strlen(cell), at = 0, n;
    uint32_t code;
    for (int i = 0; i < 40 && at < len && (n = rb_utf8_decode(cell + at, len - at, &code)) > 0; i++)
        at += n;
    snprintf(out, SHOWN_SIZE, "%.*s%s", (int)at, cell, at < len ? "…" : "");
    return out;
}

/* As COPY's text format has it: what ends a field or a row, and the backslash, are escaped. */
static void add_escaped(struct rb_buf *out, const char *text)
{
    static const char special[] = "\\\n\r\t", letter[] = "\\nrt";
    for (; *text; text++) {
        const char *at = strchr(special, *text);
        if (at)
            rb_buf_char(out, '\\');
        rb_buf_char(out, at ? letter[at - special] : *text);
    }
}

/* A quoted element of an array: the quote and the backslash are escaped for the array, then for COPY. */
static void add_element(struct rb_buf *out, const char *text, size_t len)
{
    rb_buf_char(out, '"');
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"')
            rb_buf_str(out, "\\\\");
        else if (text[i] == '\\')
            rb_buf_str(out, "\\\\\\\\");
        if (text[i] != '\\')
            rb_buf_char(out, text[i]);
    }
    rb_buf_char(out, '"');
}

static enum rb_err read_text(const struct import_column *column, const char *cell, struct rb_buf *out,
                             char *why)
{
    if (rb_utf8_length(cell, strlen(cell)) > (size_t)column->most) {
        snprintf(why, IMPORT_WHY_SIZE, "longer than %ld characters", column->most);
        return RB_ERR_INVALID;
    }
    add_escaped(out, cell);
    return RB_OK;
}

static enum rb_err read_number(const struct import_column *column, const char *cell, struct rb_buf *out,
                               char *why)
{
    size_t digits = strspn(cell, "0123456789");
    if (cell[digits] == 0 && digits > 0 && digits <= MOST_DIGITS) {
        long long value = strtoll(cell, NULL, 10);
        if (value >= column->least && value <= column->most) {
            rb_buf_int(out, value);
            return RB_OK;
        }
    }
    char text[SHOWN_SIZE];
    snprintf(why, IMPORT_WHY_SIZE, "\"%s\" is no whole number from %ld to %ld", shown(cell, text),
             column->least, column->most);
    return RB_ERR_INVALID;
}

static enum rb_err read_flag(const char *cell, struct rb_buf *out, char *why)
{
    if (strcmp(cell, "true") == 0 || strcmp(cell, "false") == 0) {
        rb_buf_char(out, cell[0]);
        return RB_OK;
    }
    char text[SHOWN_SIZE];
    snprintf(why, IMPORT_WHY_SIZE, "\"%s\" is neither true nor false", shown(cell, text));
    return RB_ERR_INVALID;
}

static enum rb_err read_word(const struct import_column *column, const char *cell, struct rb_buf *out,
                             char *why)
{
    size_t len = strlen(cell);
    for (const char *word = column->words; *word;) {
        size_t n = strcspn(word, " ");
        if (n == len && strncmp(word, cell, n) == 0) {
            rb_buf_str(out, cell);
            return RB_OK;
        }
        word += n + (word[n] == ' ');
    }
    char text[SHOWN_SIZE];
    snprintf(why, IMPORT_WHY_SIZE, "\"%s\" is not one of: %s", shown(cell, text), column->words);
    return RB_ERR_INVALID;
}

/* Takes the next part of a list that is separated by ";"; false when none is left. Empty parts are passed
 * over. */
static bool next_part(char **list, char **part)
{
    while (*list) {
        char *end = strchr(*list, ';');
        char *text = *list;
        *list = end ? end + 1 : NULL;
        if (end)
            *end = 0;
        *part = import_trim(text);
        if (**part)
            return true;
    }
    return false;
}

/* Is the item, with its comma, in the list already? */
static bool is_listed(const struct rb_buf *list, const char *item)
{
    for (const char *at = list->data; at && *at; at = strchr(at, ',') + 1) {
        if (strncmp(at, item, strlen(item)) == 0)
            return true;
    }
    return false;
}

static bool add_phone(struct rb_buf *phones, const char *part, const char *area_code, char *why)
{
    char phone[RB_PHONE_SIZE], item[RB_PHONE_SIZE + 2], text[SHOWN_SIZE];
    if (!rb_phone_normalize(part, strlen(part), area_code, phone)) {
        snprintf(why, IMPORT_WHY_SIZE, "\"%s\" is no telephone number%s", shown(part, text),
                 area_code ? "" : " (local numbers need the branch's --area-code)");
        return false;
    }
    snprintf(item, sizeof(item), "%s,", phone);
    if (!is_listed(phones, item)) /* the same number in two spellings is one number */
        rb_buf_str(phones, item);
    return true;
}

static bool add_code(struct rb_buf *codes, const char *part, char *why)
{
    char text[SHOWN_SIZE];
    if (rb_utf8_length(part, strlen(part)) > MOST_CODE) {
        snprintf(why, IMPORT_WHY_SIZE, "\"%s\" is longer than a code may be", shown(part, text));
        return false;
    }
    add_element(codes, part, strlen(part));
    rb_buf_char(codes, ',');
    return true;
}

static enum rb_err read_list(const struct import_column *column, const char *cell, const char *area_code,
                             struct rb_buf *out, char *why)
{
    struct rb_buf items;
    char *copy = strdup(cell), *rest = copy, *part;
    long n = 0;
    bool fine = copy != NULL;
    rb_buf_init(&items, out->cap);
    while (fine && next_part(&rest, &part)) {
        if (++n > column->most) {
            snprintf(why, IMPORT_WHY_SIZE, "more than %ld of them", column->most);
            fine = false;
        } else if (column->form == FORM_PHONES) {
            fine = add_phone(&items, part, area_code, why);
        } else {
            fine = add_code(&items, part, why);
        }
    }
    if (fine && n < column->least) {
        snprintf(why, IMPORT_WHY_SIZE, "is empty");
        fine = false;
    }
    if (fine)
        rb_buf_printf(out, "{%.*s}", items.len ? (int)items.len - 1 : 0, items.len ? items.data : "");
    rb_buf_deinit(&items);
    free(copy);
    return fine ? RB_OK : RB_ERR_INVALID;
}

static enum rb_err read_empty(const struct import_column *column, struct rb_buf *out, char *why)
{
    if (column->required) {
        snprintf(why, IMPORT_WHY_SIZE, "is empty");
        return RB_ERR_INVALID;
    }
    rb_buf_str(out, column->form == FORM_FLAG ? "f" : NOTHING);
    return RB_OK;
}

static enum rb_err read_cell(const struct import_column *column, const char *cell, const char *area_code,
                             struct rb_buf *out, char *why)
{
    if (!*cell)
        return read_empty(column, out, why);
    if (holds_control(cell, column->form == FORM_TEXT)) {
        snprintf(why, IMPORT_WHY_SIZE, "holds a control character or a line break");
        return RB_ERR_INVALID;
    }
    switch (column->form) {
    case FORM_CODE:
    case FORM_TEXT:
        return read_text(column, cell, out, why);
    case FORM_PHONES:
    case FORM_CODES:
        return read_list(column, cell, area_code, out, why);
    case FORM_NUMBER:
        return read_number(column, cell, out, why);
    case FORM_FLAG:
        return read_flag(cell, out, why);
    case FORM_WORD:
        return read_word(column, cell, out, why);
    }
    return RB_ERR_INTERNAL;
}

enum rb_err import_value(const struct import_column *column, const char *cell, const char *area_code,
                         struct rb_buf *out, char why[IMPORT_WHY_SIZE])
{
    enum rb_err err = read_cell(column, cell, area_code, out, why);
    if (err != RB_OK)
        rb_buf_str(out, NOTHING);
    return err;
}
