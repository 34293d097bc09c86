#include "wire/batch.h"

#include <assert.h>

static const char frame_begin[] = "{\"events\":[";
static const char frame_end[] = "]}";

static_assert(sizeof(frame_begin) - 1 + sizeof(frame_end) - 1 ==
                  PHOS__BATCH_FRAME_BYTES,
              "the frame has the size that batches are planned with");

void phos__batch_begin(struct phos__buffer *body)
{
    phos__buffer_append(body, frame_begin, sizeof(frame_begin) - 1);
}

void phos__batch_next(struct phos__buffer *body, uint32_t index)
{
    if (index > 0)
        phos__buffer_append(body, ",", PHOS__BATCH_COMMA_BYTES);
}

void phos__batch_end(struct phos__buffer *body)
{
    phos__buffer_append(body, frame_end, sizeof(frame_end) - 1);
}
