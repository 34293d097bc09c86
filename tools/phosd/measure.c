#include "measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/saturate.h"
#include "raw.h"

/* A number of the metadata; false when it is missing or null. */
static bool number_of(phos_str metadata, phos_str name, double *ret_number)
{
    phos_str raw = phosd_raw_member(metadata, name);
    char text[64];
    double number;
    char *end;

    if (!raw.data || raw.length == 0 || raw.length >= sizeof(text))
        return false;
    memcpy(text, raw.data, raw.length);
    text[raw.length] = '\0';
    number = strtod(text, &end);
    if (end == text || !isfinite(number))
        return false;
    *ret_number = number;
    return true;
}

/* Whole and not negative; below 2^63 so that sums stay what they say. */
static uint64_t count_of(phos_str metadata, phos_str name)
{
    double number;

    if (!number_of(metadata, name, &number) || !(number > 0))
        return 0;
    return number < 9e18 ? (uint64_t)number : UINT64_C(9000000000000000000);
}

static bool text_is(phos_str text, const char *word)
{
    return text.data && text.length == strlen(word) &&
           memcmp(text.data, word, text.length) == 0;
}

void phosd_measure(phos_str metadata, phos_str flag,
                   struct phosd_measure *ret_measure)
{
    struct phosd_measure measure = { .sums = { .events = 1 } };
    double ms;

    measure.sums.success = text_is(flag, "success");
    measure.sums.failure = text_is(flag, "failure");
    measure.sums.token_count_input =
        count_of(metadata, PHOS_STR("token_count_input"));
    measure.sums.token_count_output =
        count_of(metadata, PHOS_STR("token_count_output"));
    if (!number_of(metadata, PHOS_STR("cost_cents"), &measure.sums.cost_cents))
        measure.sums.cost_cents = 0;
    if (number_of(metadata, PHOS_STR("latency_ms"), &ms) && fabs(ms) < 9e15) {
        measure.has_latency = true;
        measure.latency_ms = (int64_t)ms;
    }
    *ret_measure = measure;
}

void phosd_sums_add(struct phosd_sums *to, const struct phosd_sums *more)
{
    to->events += more->events;
    to->success += more->success;
    to->failure += more->failure;
    to->token_count_input =
        phos__add_sat_u64(to->token_count_input, more->token_count_input);
    to->token_count_output =
        phos__add_sat_u64(to->token_count_output, more->token_count_output);
    to->cost_cents += more->cost_cents;
}
