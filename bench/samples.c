#include "samples.h"

#include <stdlib.h>
#include <string.h>

#include "measure.h"

enum { INTEGER_BYTES = 3 * 8, SESSION_BYTES = 20, MODEL_BYTES = 12 };

void samples_make(struct samples *samples, size_t event_bytes)
{
    static const char words[] =
        "how do I export a quarterly report as a table and who may see it ";
    size_t text_bytes = event_bytes - INTEGER_BYTES;
    size_t input_bytes = (text_bytes - SESSION_BYTES - MODEL_BYTES) * 2 / 5;

    samples->text = malloc(SAMPLE_COUNT * text_bytes);
    if (!samples->text)
        bench_fail("out of memory");
    for (size_t i = 0; i < SAMPLE_COUNT * text_bytes; i++)
        samples->text[i] = words[i % (sizeof(words) - 1)];

    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        phos_event *event = &samples->events[i];
        char *text = samples->text + i * text_bytes;

        memcpy(text, "session-", 8);
        memcpy(text + SESSION_BYTES, "model-", 6);
        *event = phos_event_default();
        event->session_id = phos_str_make(text, SESSION_BYTES);
        text += SESSION_BYTES;
        event->model = phos_str_make(text, MODEL_BYTES);
        text += MODEL_BYTES;
        event->input = phos_str_make(text, input_bytes);
        text += input_bytes;
        event->output = phos_str_make(text, text_bytes - SESSION_BYTES -
                                                MODEL_BYTES - input_bytes);
        event->latency_ms = 850 + (int64_t)i;
        event->token_count_input = 12;
        event->token_count_output = 140;
    }
}

void samples_free(struct samples *samples)
{
    free(samples->text);
}
