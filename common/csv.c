/*
 * The CSV reader of common/csv.h: called by the import with what it reads from a file. One byte at a time
 * through a small automaton; a record lies in one buffer, its fields end in NUL, and only when it is whole
 * are pointers to them made. Never guesses what a broken file may have meant.
 */
#include "common/csv.h"

#include <stdbool.h>
#include <stdlib.h>

#include "common/utf8.h"

enum place {
    AT_FIELD,    /* before a field's first byte */
    IN_PLAIN,    /* in a field without quotes */
    IN_QUOTED,   /* between quotes */
    AFTER_QUOTE, /* behind a quote that ended the field, or is the first of two */
    AFTER_CR     /* the line is closed, LF must follow */
};

static const unsigned char mark[] = {0xef, 0xbb, 0xbf}; /* the byte order mark */

struct rb_csv {
    rb_csv_record_fn on_record;
    void *ctx;
    enum place place;
    struct rb_utf8 utf8;
    size_t marked;      /* bytes of the mark that were there; all of them also when there was none */
    size_t line;        /* of the next byte */
    size_t record_line; /* where the record started */
    size_t quote_line;  /* where the last quoted field started */
    size_t bytes;       /* of the record, as they came in */
    size_t len;         /* of data: no more than came in, and a NUL */
    size_t starts[RB_CSV_FIELDS];
    size_t n;
    enum rb_err err;
    size_t fault_line;
    const char *why;
    char data[RB_CSV_RECORD_BYTES + 1];
};

static enum rb_err fail(struct rb_csv *csv, enum rb_err err, size_t line, const char *why)
{
    csv->err = err;
    csv->fault_line = line;
    csv->why = why;
    return err;
}

static enum rb_err invalid(struct rb_csv *csv, const char *why)
{
    return fail(csv, RB_ERR_INVALID, csv->line, why);
}

static enum rb_err start_field(struct rb_csv *csv)
{
    if (csv->n == RB_CSV_FIELDS)
        return fail(csv, RB_ERR_TOO_LARGE, csv->record_line, "a record of more than 64 fields");
    csv->starts[csv->n++] = csv->len;
    return RB_OK;
}

static enum rb_err end_field(struct rb_csv *csv)
{
    enum rb_err err = csv->place == AT_FIELD ? start_field(csv) : RB_OK;
    csv->data[csv->len++] = '\0';
    csv->place = AT_FIELD;
    return err;
}

/* An empty line has no field; "a," has two. */
static enum rb_err end_last_field(struct rb_csv *csv)
{
    return csv->place == AT_FIELD && csv->n == 0 ? RB_OK : end_field(csv);
}

static enum rb_err end_record(struct rb_csv *csv)
{
    char *fields[RB_CSV_FIELDS];
    size_t n = csv->n;
    for (size_t i = 0; i < n; i++)
        fields[i] = csv->data + csv->starts[i];
    csv->n = csv->len = csv->bytes = 0;
    csv->place = AT_FIELD;
    enum rb_err err = n ? csv->on_record(csv->ctx, csv->record_line, fields, n) : RB_OK;
    return err == RB_OK ? RB_OK : fail(csv, err, csv->record_line, "stopped by whom it was read for");
}

/* What ends a field or its line; false when byte does neither. */
static bool on_end(struct rb_csv *csv, char byte, enum rb_err *err)
{
    switch (byte) {
    case ',':
        *err = end_field(csv);
        return true;
    case '\n':
        *err = end_last_field(csv);
        if (*err == RB_OK)
            *err = end_record(csv);
        return true;
    case '\r':
        *err = end_last_field(csv);
        csv->place = AFTER_CR;
        return true;
    default:
        return false;
    }
}

static enum rb_err on_quoted(struct rb_csv *csv, char byte)
{
    if (byte == '"')
        csv->place = AFTER_QUOTE;
    else
        csv->data[csv->len++] = byte;
    return RB_OK;
}

static enum rb_err on_byte(struct rb_csv *csv, char byte)
{
    enum rb_err err = RB_OK;
    if (csv->place == IN_QUOTED)
        return on_quoted(csv, byte);
    if (csv->place == AFTER_CR)
        return byte == '\n' ? end_record(csv) : invalid(csv, "a CR without LF");
    if (on_end(csv, byte, &err))
        return err;
    if (csv->place == AFTER_QUOTE && byte != '"')
        return invalid(csv, "something behind a closing quote");
    if (csv->place == IN_PLAIN && byte == '"')
        return invalid(csv, "a quote in a field that does not start with one");
    if (csv->place == AT_FIELD) {
        err = start_field(csv);
        csv->place = byte == '"' ? IN_QUOTED : IN_PLAIN;
        csv->quote_line = csv->line;
        if (byte == '"' || err != RB_OK)
            return err;
    } else if (csv->place == AFTER_QUOTE) {
        csv->place = IN_QUOTED; /* the second of two */
    }
    csv->data[csv->len++] = byte;
    return RB_OK;
}

static enum rb_err take(struct rb_csv *csv, char byte)
{
    if (!byte)
        return invalid(csv, "a NUL");
    if (!rb_utf8_step(&csv->utf8, (unsigned char)byte))
        return invalid(csv, "bytes that are no UTF-8");
    if (csv->bytes == 0)
        csv->record_line = csv->line;
    bool ends = csv->place != IN_QUOTED && (byte == '\n' || byte == '\r'); /* these are not of the record */
    if (!ends && ++csv->bytes > RB_CSV_RECORD_BYTES)
        return fail(csv, RB_ERR_TOO_LARGE, csv->record_line, "a record of more than 65536 bytes");
    enum rb_err err = on_byte(csv, byte);
    if (err == RB_OK)
        csv->line += byte == '\n';
    return err;
}

/* Bytes that looked like the start of a mark but were not. */
static enum rb_err take_held(struct rb_csv *csv)
{
    size_t held = csv->marked % sizeof(mark);
    csv->marked = sizeof(mark);
    for (size_t i = 0; i < held && csv->err == RB_OK; i++)
        take(csv, (char)mark[i]);
    return csv->err;
}

struct rb_csv *rb_csv_new(rb_csv_record_fn on_record, void *ctx)
{
    struct rb_csv *csv = calloc(1, sizeof(*csv));
    if (!csv)
        return NULL;
    csv->on_record = on_record;
    csv->ctx = ctx;
    csv->line = 1;
    csv->why = "";
    return csv;
}

void rb_csv_free(struct rb_csv *csv)
{
    free(csv);
}

enum rb_err rb_csv_feed(struct rb_csv *csv, const char *data, size_t len)
{
    size_t i = 0;
    for (; i < len && csv->marked < sizeof(mark); i++) {
        if ((unsigned char)data[i] != mark[csv->marked]) {
            (void)take_held(csv);
            break;
        }
        csv->marked++;
    }
    for (; i < len && csv->err == RB_OK; i++)
        if (take(csv, data[i]) != RB_OK)
            break;
    return csv->err;
}

enum rb_err rb_csv_end(struct rb_csv *csv)
{
    if (csv->err != RB_OK || take_held(csv) != RB_OK)
        return csv->err;
    if (csv->utf8.missing)
        return invalid(csv, "bytes that are no UTF-8");
    if (csv->place == IN_QUOTED)
        return fail(csv, RB_ERR_INVALID, csv->quote_line, "a quoted field without its end");
    if (csv->place == AFTER_CR)
        return invalid(csv, "a CR without LF");
    enum rb_err err = end_last_field(csv);
    return err == RB_OK ? end_record(csv) : err;
}

size_t rb_csv_line(const struct rb_csv *csv)
{
    return csv->err == RB_OK ? csv->line : csv->fault_line;
}

const char *rb_csv_why(const struct rb_csv *csv)
{
    return csv->why;
}
