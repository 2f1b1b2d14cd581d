/* Fuzzes common/csv: fed whole and in pieces the records are the same, and written again they read the same.
 * The first byte is the size of the pieces. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/csv.h"
#include "common/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Writes each record with all its fields in quotes. */
static enum rb_err on_record(void *ctx, size_t line, char **fields, size_t n)
{
    struct rb_buf *out = ctx;
    RB_INVARIANT(line > 0 && n > 0 && n <= RB_CSV_FIELDS);
    for (size_t i = 0; i < n; i++) {
        RB_INVARIANT(rb_utf8_valid(fields[i], strlen(fields[i])));
        rb_buf_str(out, i ? ",\"" : "\"");
        for (const char *c = fields[i]; *c; c++) {
            if (*c == '"')
                rb_buf_char(out, '"');
            rb_buf_char(out, *c);
        }
        rb_buf_char(out, '"');
    }
    rb_buf_char(out, '\n');
    return RB_OK;
}

static enum rb_err read_all(const char *text, size_t len, size_t piece, struct rb_buf *out)
{
    struct rb_csv *csv = rb_csv_new(on_record, out);
    enum rb_err err = RB_OK;
    RB_INVARIANT(csv);
    rb_buf_init(out, 1 << 22);
    rb_buf_str(out, "");
    for (size_t at = 0; at < len && err == RB_OK; at += piece)
        err = rb_csv_feed(csv, text + at, len - at < piece ? len - at : piece);
    if (err == RB_OK)
        err = rb_csv_end(csv);
    RB_INVARIANT((err == RB_OK) == (*rb_csv_why(csv) == '\0') && rb_csv_line(csv) > 0);
    rb_csv_free(csv);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rb_buf whole, pieces, again;
    if (!size)
        return 0;
    const char *text = (const char *)data + 1;
    enum rb_err err = read_all(text, size - 1, size, &whole);
    RB_INVARIANT(read_all(text, size - 1, data[0] % 7 + 1U, &pieces) == err);
    RB_INVARIANT(whole.len == pieces.len && memcmp(whole.data, pieces.data, whole.len) == 0);
    if (err == RB_OK) {
        err = read_all(whole.data, whole.len, whole.len + 1, &again);
        /* more quotes may be more than a record may have */
        RB_INVARIANT(err == RB_OK || err == RB_ERR_TOO_LARGE);
        if (err == RB_OK)
            RB_INVARIANT(whole.len == again.len && memcmp(whole.data, again.data, whole.len) == 0);
        rb_buf_deinit(&again);
    }
    rb_buf_deinit(&whole);
    rb_buf_deinit(&pieces);
    return 0;
}
