/*
 * Events to the arrays of take_events and its rows back to outcomes. The order of columns here is the
 * function's signature.
 */
#include "server/intake/batch.h"

#include <string.h>

extern const char rb_sql_take_events[];
const struct rb_statement rb_take_events = {"take_events", rb_sql_take_events};

typedef void (*column_fn)(struct rb_params *params, const struct rb_item *item);

static void text_column(struct rb_params *p, struct rb_item *const *items, size_t n, int kind, column_fn add)
{
    rb_param_array(p, RB_ARRAY_TEXT);
    for (size_t i = 0; i < n; i++)
        if (kind < 0 || items[i]->event->kind == (enum rb_event_kind)kind)
            add(p, items[i]);
}

static void int_column(struct rb_params *p, struct rb_item *const *items, size_t n, int kind, column_fn add)
{
    rb_param_array(p, RB_ARRAY_INT4);
    for (size_t i = 0; i < n; i++)
        if (kind < 0 || items[i]->event->kind == (enum rb_event_kind)kind)
            add(p, items[i]);
}

static const char *phone(const char *normalized)
{
    return *normalized ? normalized : NULL;
}

#define COLUMN(name, statement)                                                                              \
    static void name(struct rb_params *p, const struct rb_item *item)                                        \
    {                                                                                                        \
        statement;                                                                                           \
    }
COLUMN(add_branch, rb_item_int(p, item->branch_id))
COLUMN(add_gateway, rb_item_int(p, item->gateway_id))
COLUMN(add_source, rb_item_text(p, item->event->source))
COLUMN(add_id, rb_item_text(p, item->event->id))
COLUMN(add_type, rb_item_text(p, item->event->type))
COLUMN(add_data, rb_item_text_n(p, item->event->data, item->event->data_len))
COLUMN(add_retailer, rb_item_text(p, item->event->retailer))
COLUMN(add_caller, rb_item_text(p, item->event->caller))
COLUMN(add_phone, rb_item_text(p, phone(item->event->phone)))
COLUMN(add_call, rb_item_text(p, item->event->call))
COLUMN(add_operator, rb_item_text(p, item->event->operator))
COLUMN(add_note, rb_item_text(p, item->event->order.note))
COLUMN(add_text, rb_item_text(p, item->event->complaint.text))
COLUMN(add_kind, rb_item_text(p, item->event->complaint.kind))
COLUMN(add_category, rb_item_text(p, item->event->complaint.category))
COLUMN(add_order, rb_item_text(p, item->event->complaint.order))
COLUMN(add_state, rb_item_int(p, item->event->called.state))
COLUMN(add_direction, rb_item_text(p, item->event->called.direction))
COLUMN(add_from, rb_item_text(p, item->event->called.from))
COLUMN(add_to, rb_item_text(p, item->event->called.to))
COLUMN(add_from_phone, rb_item_text(p, phone(item->event->called.from_phone)))
COLUMN(add_to_phone, rb_item_text(p, phone(item->event->called.to_phone)))
COLUMN(add_cause, rb_item_text(p, item->event->called.cause))
COLUMN(add_recording, rb_item_text(p, item->event->called.recording))

/* The answer's beginning, which needs nothing from the database. */
static void add_head(struct rb_params *p, const struct rb_item *item)
{
    struct rb_buf head;
    rb_buf_init(&head, 32768);
    rb_buf_str(&head, "{\"outcome\":\"accepted\",\"source\":");
    rb_buf_json(&head, item->event->source);
    rb_buf_str(&head, ",\"event\":");
    rb_buf_json(&head, item->event->id);
    RB_INVARIANT(rb_buf_err(&head) == RB_OK);
    rb_item_text_n(p, head.data, head.len);
    rb_buf_deinit(&head);
}

static void add_severity(struct rb_params *p, const struct rb_item *item)
{
    if (item->event->complaint.severity)
        rb_item_int(p, item->event->complaint.severity);
    else
        rb_item_null(p);
}

static void add_seconds(struct rb_params *p, const struct rb_item *item)
{
    if (item->event->called.seconds >= 0)
        rb_item_int(p, item->event->called.seconds);
    else
        rb_item_null(p);
}

/* Which events of the batch are of a kind, by their ordinal from 1. */
static void ordinals(struct rb_params *p, struct rb_item *const *items, size_t n, enum rb_event_kind kind)
{
    rb_param_array(p, RB_ARRAY_INT4);
    for (size_t i = 0; i < n; i++)
        if (items[i]->event->kind == kind)
            rb_item_int(p, (int64_t)i + 1);
}

static void common_columns(struct rb_params *p, struct rb_item *const *items, size_t n)
{
    int_column(p, items, n, -1, add_branch);
    int_column(p, items, n, -1, add_gateway);
    text_column(p, items, n, -1, add_source);
    text_column(p, items, n, -1, add_id);
    rb_param_array(p, RB_ARRAY_BYTEA);
    for (size_t i = 0; i < n; i++)
        rb_item_bytes(p, items[i]->event->hash, RB_HASH_SIZE);
    text_column(p, items, n, -1, add_type);
    rb_param_array(p, RB_ARRAY_TIME);
    for (size_t i = 0; i < n; i++)
        if (items[i]->event->has_time)
            rb_item_time(p, items[i]->event->time);
        else
            rb_item_null(p);
    text_column(p, items, n, -1, add_head);
    text_column(p, items, n, -1, add_data);
}

enum line_column { LINE_ORDER, LINE_NUMBER, LINE_PRODUCT, LINE_CARTONS };

/* One value for every line of every order; LINE_ORDER is the order's position among the orders, from 1. */
static void line_column(struct rb_params *p, struct rb_item *const *items, size_t n, enum line_column column)
{
    int position = 0;
    rb_param_array(p, column == LINE_PRODUCT ? RB_ARRAY_TEXT : RB_ARRAY_INT4);
    for (size_t i = 0; i < n; i++) {
        if (items[i]->event->kind != RB_EVENT_ORDER)
            continue;
        const struct rb_event_order *order = &items[i]->event->order;
        position++;
        for (size_t l = 0; l < order->n; l++) {
            if (column == LINE_PRODUCT)
                rb_item_text(p, order->lines[l].product);
            else
                rb_item_int(p, column == LINE_ORDER    ? position
                               : column == LINE_NUMBER ? (int)l + 1
                                                       : order->lines[l].cartons);
        }
    }
}

static void order_columns(struct rb_params *p, struct rb_item *const *items, size_t n)
{
    ordinals(p, items, n, RB_EVENT_ORDER);
    text_column(p, items, n, RB_EVENT_ORDER, add_retailer);
    text_column(p, items, n, RB_EVENT_ORDER, add_phone);
    text_column(p, items, n, RB_EVENT_ORDER, add_call);
    text_column(p, items, n, RB_EVENT_ORDER, add_operator);
    text_column(p, items, n, RB_EVENT_ORDER, add_note);
    line_column(p, items, n, LINE_ORDER);
    line_column(p, items, n, LINE_NUMBER);
    line_column(p, items, n, LINE_PRODUCT);
    line_column(p, items, n, LINE_CARTONS);
}

static void complaint_columns(struct rb_params *p, struct rb_item *const *items, size_t n)
{
    ordinals(p, items, n, RB_EVENT_COMPLAINT);
    text_column(p, items, n, RB_EVENT_COMPLAINT, add_retailer);
    text_column(p, items, n, RB_EVENT_COMPLAINT, add_caller);
    text_column(p, items, n, RB_EVENT_COMPLAINT, add_phone);
    text_column(p, items, n, RB_EVENT_COMPLAINT, add_call);
    text_column(p, items, n, RB_EVENT_COMPLAINT, add_operator);
    text_column(p, items, n, RB_EVENT_COMPLAINT, add_text);
    text_column(p, items, n, RB_EVENT_COMPLAINT, add_kind);
    text_column(p, items, n, RB_EVENT_COMPLAINT, add_category);
    int_column(p, items, n, RB_EVENT_COMPLAINT, add_severity);
    text_column(p, items, n, RB_EVENT_COMPLAINT, add_order);
}

static void call_columns(struct rb_params *p, struct rb_item *const *items, size_t n)
{
    ordinals(p, items, n, RB_EVENT_CALL);
    text_column(p, items, n, RB_EVENT_CALL, add_call);
    int_column(p, items, n, RB_EVENT_CALL, add_state);
    text_column(p, items, n, RB_EVENT_CALL, add_direction);
    text_column(p, items, n, RB_EVENT_CALL, add_from);
    text_column(p, items, n, RB_EVENT_CALL, add_to);
    text_column(p, items, n, RB_EVENT_CALL, add_from_phone);
    text_column(p, items, n, RB_EVENT_CALL, add_to_phone);
    int_column(p, items, n, RB_EVENT_CALL, add_seconds);
    text_column(p, items, n, RB_EVENT_CALL, add_cause);
    text_column(p, items, n, RB_EVENT_CALL, add_recording);
}

struct rb_params *rb_batch_params(struct rb_item *const *items, size_t n)
{
    struct rb_params *p = rb_params_new();
    common_columns(p, items, n);
    order_columns(p, items, n);
    complaint_columns(p, items, n);
    call_columns(p, items, n);
    return p;
}

size_t rb_batch_outcome(const struct rb_result *result, int row, struct rb_outcome *outcome)
{
    const char *word = rb_result_text(result, row, 1);
    *outcome = (struct rb_outcome){.status = 200, .answer = rb_result_text(result, row, 2)};
    if (!strcmp(word, "replayed")) {
        outcome->replayed = true;
    } else if (!strcmp(word, "conflict")) {
        outcome->status = 409;
        outcome->code = "event-conflict";
        outcome->detail = "an event with this source and id but another content was taken before";
    } else if (!strcmp(word, "refused")) {
        outcome->status = 422;
        outcome->code = rb_result_text(result, row, 3);
        outcome->detail = "data names something that is not there; errors says what";
        outcome->errors = rb_result_text(result, row, 4);
    } else {
        RB_INVARIANT(!strcmp(word, "accepted"));
    }
    return (size_t)rb_result_int(result, row, 0) - 1;
}
