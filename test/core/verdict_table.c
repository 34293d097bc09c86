/*
 * Prints the verdict of every answer, a line each, for the test that compares
 * docs/delivery.md with the code.
 */
#include <stdio.h>

#include "core/verdict.h"

static const char *name(enum phos__verdict verdict)
{
    switch (verdict) {
    case PHOS__VERDICT_DELIVERED:
        return "delivered";
    case PHOS__VERDICT_AGAIN:
        return "again";
    case PHOS__VERDICT_THROTTLED:
        return "throttled";
    case PHOS__VERDICT_SMALLER:
        return "smaller";
    case PHOS__VERDICT_SUSPECT:
        return "suspect";
    case PHOS__VERDICT_CONFIG:
        return "config";
    }
    return "none";
}

int main(void)
{
    static const struct {
        phos_exchange exchange;
        const char *name;
    } broken[] = {
        { PHOS_EXCHANGE_NOT_SENT, "not sent" },
        { PHOS_EXCHANGE_BROKEN, "broken" },
        { PHOS_EXCHANGE_STALLED, "stalled" },
        { PHOS_EXCHANGE_CANCELLED, "cancelled" },
        { PHOS_EXCHANGE_REFUSED, "refused" },
    };

    for (int status = 100; status <= 999; status++) {
        static const enum phos__body_kind bodies[] = {
            PHOS__BODY_EMPTY, PHOS__BODY_JSON, PHOS__BODY_HTML,
            PHOS__BODY_OTHER
        };

        for (unsigned i = 0; i < 4; i++)
            printf("%d%s %s\n", status,
                   bodies[i] == PHOS__BODY_HTML ? " with a web page" : "",
                   name(phos__verdict_of(PHOS_EXCHANGE_ANSWERED, status,
                                         bodies[i])));
    }
    for (unsigned i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
        printf("%s %s\n", broken[i].name,
               name(phos__verdict_of(broken[i].exchange, 0,
                                     PHOS__BODY_EMPTY)));
    return 0;
}
