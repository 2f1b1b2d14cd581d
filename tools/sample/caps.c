/*
 * caps.csv: how scarce and controlled goods are shared out. No two rules that are equally specific can meet:
 * a scarce product has one for each tier and market type, the first ones a better one for key shops of the
 * highest tier (one condition more), and a few retailers their own; a controlled product has one for each
 * tier.
 */
#include "tools/sample/sample.h"

#define KEY_RULES 10   /* scarce products with a rule for key shops */
#define OWN_RULES 3    /* scarce products with a rule for one retailer */
#define OWN_RETAILER 4 /* … the fifth of all */

/* Cartons by market and tier: dear goods lean to the city, cheap ones to the villages. */
static const unsigned dear[MARKETS][4] = {{2, 3, 5, 8}, {1, 2, 3, 5}, {1, 1, 2, 3}};
static const unsigned middle[MARKETS][4] = {{3, 5, 8, 12}, {3, 5, 8, 12}, {2, 4, 6, 10}};
static const unsigned cheap[MARKETS][4] = {{2, 3, 4, 6}, {3, 5, 8, 12}, {5, 8, 12, 20}};

static const char *const market_name[MARKETS] = {"city", "town", "village"};

static unsigned share(unsigned price_class, int market, unsigned tier)
{
    const unsigned(*table)[4] = price_class <= 2 ? dear : price_class == 3 ? middle : cheap;

    return table[market][tier - 1];
}

static void write_scarce(const char *code, const struct goods *goods, unsigned extra, FILE *out)
{
    unsigned tier;
    int market;

    for (tier = 1; tier <= 4; tier++) {
        for (market = 0; market < MARKETS; market++) {
            fprintf(out, "%s,%u,%u,%s,,,,\n", code, share(goods->price_class, market, tier) + extra, tier,
                    market_name[market]);
        }
    }
}

void write_caps(const struct plan *plan, FILE *out)
{
    unsigned scarce = 0, index, tier;
    char code[SAMPLE_TEXT], retailer[SAMPLE_TEXT];

    fputs("product,cartons,tier,market_type,trade_type,area,class,retailer\n", out);
    for (index = 0; index < plan->products; index++) {
        struct goods goods = product_goods(plan, index);
        struct dice dice = dice_for(plan->seed, "cap", index);

        product_code(plan, index, code);
        for (tier = 1; goods.controlled && tier <= 4; tier++) {
            fprintf(out, "%s,%u,%u,,,,,\n", code, 10 * tier, tier);
        }
        if (!goods.scarce) {
            continue;
        }
        write_scarce(code, &goods, dice_below(&dice, 2), out);
        if (scarce < KEY_RULES) {
            fprintf(out, "%s,%u,4,city,,,key,\n", code, 2 * share(goods.price_class, CITY, 4));
        }
        if (scarce < OWN_RULES && plan->retailers > OWN_RETAILER) {
            fprintf(out, "%s,%u,,,,,,%s\n", code, 20 + scarce, retailer_code(OWN_RETAILER, retailer));
        }
        scarce++;
    }
}
