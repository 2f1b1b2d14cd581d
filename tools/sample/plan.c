/*
 * How many of each there are in the sample branch, who belongs to whom, and what they are called. All of it
 * follows from the numbers of retailers and products and from the seed, so the writers share it without
 * tables.
 */
#include "tools/sample/sample.h"

#include "tools/sample/words.h"

#define BOOK 190 /* retailers of an account manager, about */
#define MANAGERS_AN_AREA 4
#define FIRST_RETAILER 41000001
#define FIRST_BRAND 11

static unsigned at_least(unsigned least, unsigned n)
{
    return n < least ? least : n;
}

void plan_init(struct plan *plan, unsigned retailers, unsigned products, uint64_t seed)
{
    unsigned managers = at_least(2, (retailers + BOOK - 1) / BOOK);

    *plan = (struct plan){.retailers = retailers, .products = products, .seed = seed};
    plan->areas = at_least(1, managers / MANAGERS_AN_AREA);
    plan->count[ACCOUNT_MANAGER] = managers;
    plan->count[MARKET_MANAGER] = plan->areas;
    plan->count[SUPERVISOR] = at_least(2, plan->areas / 16);
    plan->count[OPERATOR] = at_least(12, managers * 3 / 4);
    plan->count[DELIVERER] = at_least(8, managers / 2);
    plan->count[INSPECTOR] = at_least(4, managers / 4);
}

static int digits(unsigned n)
{
    return n < 10 ? 1 : 1 + digits(n / 10);
}

const char *person_code(const struct plan *plan, enum role role, unsigned index, char text[SAMPLE_TEXT])
{
    static const struct {
        const char *prefix;
        int width;
    } form[ROLES] = {{"SV", 1}, {"MM", 1}, {"AM", 2}, {"OP", 2}, {"DL", 1}, {"IN", 1}};
    int width = digits(plan->count[role]);

    snprintf(text, SAMPLE_TEXT, "%s%0*u", form[role].prefix,
             width > form[role].width ? width : form[role].width, index + 1);
    return text;
}

const char *retailer_code(unsigned index, char text[SAMPLE_TEXT])
{
    snprintf(text, SAMPLE_TEXT, "%u", FIRST_RETAILER + index);
    return text;
}

unsigned brand_size(const struct plan *plan)
{
    return at_least(10, (plan->products + brands.n - 1) / brands.n);
}

/* Brand and specification, two digits each: an operator types them on the keypad. */
const char *product_code(const struct plan *plan, unsigned index, char text[SAMPLE_TEXT])
{
    unsigned size = brand_size(plan);

    snprintf(text, SAMPLE_TEXT, "%02u%02u", FIRST_BRAND + index / size, 1 + index % size);
    return text;
}

const char *area_word(unsigned area, char text[SAMPLE_TEXT])
{
    unsigned round = area / places.n;

    if (round == 0) {
        snprintf(text, SAMPLE_TEXT, "%s", places.word[area % places.n]);
    } else {
        snprintf(text, SAMPLE_TEXT, "%s%u区", places.word[area % places.n], round + 1);
    }
    return text;
}

/* The i-th of n parts of a whole: where it begins. */
static unsigned part(unsigned whole, unsigned n, unsigned i)
{
    return (unsigned)((uint64_t)whole * i / n);
}

unsigned area_first(const struct plan *plan, unsigned area)
{
    return part(plan->count[ACCOUNT_MANAGER], plan->areas, area);
}

unsigned area_of(const struct plan *plan, unsigned manager)
{
    unsigned area = part(plan->areas, plan->count[ACCOUNT_MANAGER], manager);

    while (area + 1 < plan->areas && area_first(plan, area + 1) <= manager) {
        area++;
    }
    return area;
}

/* Books are not all of one size: each border moves a little, never so far that a book is empty. */
unsigned book_first(const struct plan *plan, unsigned manager)
{
    unsigned managers = plan->count[ACCOUNT_MANAGER];
    unsigned slack = plan->retailers / managers / 12;
    struct dice dice = dice_for(plan->seed, "book", manager);

    if (manager == 0 || manager == managers) {
        return part(plan->retailers, managers, manager);
    }
    return part(plan->retailers, managers, manager) - slack + dice_below(&dice, 2 * slack + 1);
}
