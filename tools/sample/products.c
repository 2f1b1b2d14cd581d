/*
 * products.csv: brands of at least ten specifications. In each ten products one is scarce, in each thirty one
 * is controlled; what can stand in for a product is of its own price class and near in price.
 */
#include "tools/sample/sample.h"
#include "tools/sample/words.h"

#define STEP_FEN 106

/* Prices in steps, a carton: from, to. The classes meet without a gap, as in the trade. */
static const unsigned price_steps[5][2] = {{150, 800}, {105, 149}, {50, 104}, {28, 49}, {14, 27}};

/* The class of a brand, which its specifications leave by one step at the most. */
static unsigned brand_class(const struct plan *plan, unsigned brand)
{
    static const unsigned weights[] = {25, 22, 30, 15, 8};
    struct dice dice = dice_for(plan->seed, "brand", brand);

    return 1 + (unsigned)dice_weighted(&dice, weights, 5);
}

/* One of each `among` consecutive products is chosen. */
static bool chosen(const struct plan *plan, const char *what, unsigned index, unsigned among)
{
    struct dice dice = dice_for(plan->seed, what, index / among);

    return index % among == dice_below(&dice, among);
}

struct goods product_goods(const struct plan *plan, unsigned index)
{
    struct dice dice = dice_for(plan->seed, "product", index);
    unsigned class = brand_class(plan, index / brand_size(plan));
    struct goods goods = {.scarce = chosen(plan, "scarce", index, 10)};

    if (dice_percent(&dice, 15) && class > 1) {
        class --;
    } else if (dice_percent(&dice, 20) && class < 5) {
        class ++;
    }
    goods.price_class = class;
    goods.price_fen = STEP_FEN * dice_between(&dice, price_steps[class - 1][0], price_steps[class - 1][1]);
    goods.controlled = !goods.scarce && chosen(plan, "controlled", index, 30);
    return goods;
}

static unsigned apart(unsigned a, unsigned b)
{
    return a > b ? a - b : b - a;
}

/* The free product of the same class that is nearest in price to goods among those further away than the last
 * one found; n when there is none. Equal prices go by their place. */
static unsigned next_substitute(const struct goods *all, unsigned n, unsigned index, unsigned last)
{
    unsigned best = n, i;

    for (i = 0; i < n; i++) {
        unsigned gap = apart(all[i].price_fen, all[index].price_fen);

        if (i == index || all[i].price_class != all[index].price_class || all[i].scarce ||
            all[i].controlled) {
            continue;
        }
        if (last < n) {
            unsigned last_gap = apart(all[last].price_fen, all[index].price_fen);

            if (gap < last_gap || (gap == last_gap && i <= last)) {
                continue;
            }
        }
        if (best == n || gap < apart(all[best].price_fen, all[index].price_fen)) {
            best = i;
        }
    }
    return best;
}

/* Three for what may run out, none to two for the rest. */
static void write_substitutes(const struct plan *plan, const struct goods *all, unsigned index, FILE *out)
{
    struct dice dice = dice_for(plan->seed, "substitutes", index);
    unsigned wanted = all[index].scarce || all[index].controlled ? 3 : dice_below(&dice, 3);
    unsigned last = plan->products, i;
    char code[SAMPLE_TEXT];

    for (i = 0; i < wanted; i++) {
        last = next_substitute(all, plan->products, index, last);
        if (last == plan->products) {
            return;
        }
        fprintf(out, "%s%s", i ? ";" : "", product_code(plan, last, code));
    }
}

void write_products(const struct plan *plan, FILE *out)
{
    struct goods all[SAMPLE_MOST_PRODUCTS];
    unsigned size = brand_size(plan), i;
    char code[SAMPLE_TEXT];

    for (i = 0; i < plan->products; i++) {
        all[i] = product_goods(plan, i);
    }
    fputs("code,name,price_fen,price_class,scarce,controlled,substitutes\n", out);
    for (i = 0; i < plan->products; i++) {
        fprintf(out, "%s,%s%s,%u,%u,%s,%s,", product_code(plan, i, code), brands.word[i / size],
                specifications.word[i % size], all[i].price_fen, all[i].price_class,
                all[i].scarce ? "true" : "false", all[i].controlled ? "true" : "false");
        write_substitutes(plan, all, i, out);
        fputc('\n', out);
    }
}
