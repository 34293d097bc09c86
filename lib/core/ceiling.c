#include "core/ceiling.h"

enum {
    BYTES_MIN = 1024,
    TEST_SUCCESSES = 64 /* before a larger body is tried again */
};

void phos__ceiling_init(struct phos__ceiling *ceiling, uint32_t limit)
{
    ceiling->limit = limit;
    ceiling->bytes = limit;
    ceiling->refused = UINT32_MAX;
    ceiling->successes = 0;
}

void phos__ceiling_refused(struct phos__ceiling *ceiling, uint32_t body_bytes)
{
    if (body_bytes < ceiling->refused)
        ceiling->refused = body_bytes;
    if (body_bytes / 2 < ceiling->bytes)
        ceiling->bytes = body_bytes / 2;
    if (ceiling->bytes < BYTES_MIN)
        ceiling->bytes = BYTES_MIN;
    ceiling->successes = 0;
}

void phos__ceiling_succeeded(struct phos__ceiling *ceiling, uint32_t body_bytes)
{
    uint32_t room;

    if (ceiling->bytes == ceiling->limit ||
        body_bytes < ceiling->bytes - ceiling->bytes / 4)
        return;
    if (++ceiling->successes % TEST_SUCCESSES == 0 &&
        ceiling->refused < UINT32_MAX / 2)
        ceiling->refused += ceiling->refused / 4;
    if (ceiling->refused <= ceiling->bytes)
        return;
    room = ceiling->refused - ceiling->bytes;
    ceiling->bytes += room / 8;
    if (ceiling->bytes > ceiling->limit)
        ceiling->bytes = ceiling->limit;
}
