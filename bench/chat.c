/*
 * chat - what reading a chat answer costs nginx's event loop: the module's
 * reader, fed as nginx feeds it, beside jansson with the whole text. In all,
 * and the longest single step, for that is what other requests wait for.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "ngx_phos_chat.h"

enum {
    PIECE_BYTES = 8192, /* about what nginx reads at a time */
    BYTES_IN_ALL = 50000000,
    HEAD_BYTES = 256
};

struct result {
    double ns;      /* of an answer, all steps */
    double step_ns; /* of its longest step */
};

static void *grow(void *pool, void *old, size_t old_bytes, size_t bytes)
{
    (void)pool;
    (void)old_bytes;
    return realloc(old, bytes);
}

/* Text as models write it: an escape every line. */
static char *make_answer(size_t text_bytes)
{
    char *answer = malloc(text_bytes + HEAD_BYTES);
    int length =
        snprintf(answer, HEAD_BYTES,
                 "{\"id\":\"chatcmpl-1\",\"model\":\"m-1\",\"choices\":"
                 "[{\"index\":0,\"message\":{\"role\":\"assistant\","
                 "\"content\":\"");
    char *at = answer + length;

    for (size_t i = 0; i < text_bytes; i++)
        *at++ = i % 64 == 62 ? '\\' : i % 64 == 63 ? 'n' : 'x';
    strcpy(at, "\"}}],\"usage\":{\"prompt_tokens\":9,"
               "\"completion_tokens\":7}}");
    return answer;
}

static struct result with_reader(const char *answer, size_t length)
{
    struct ngx_phos_chat chat;
    struct result result = { 0 };
    uint64_t begin = monotonic_ns(), before = begin, now = begin;

    ngx_phos_chat_init(&chat, (struct ngx_phos_memory){ grow, NULL }, 1 << 20);
    for (size_t at = 0; at < length; at += PIECE_BYTES) {
        size_t bytes = length - at < PIECE_BYTES ? length - at : PIECE_BYTES;

        ngx_phos_chat_feed(&chat, answer + at, bytes);
        now = monotonic_ns();
        if ((double)(now - before) > result.step_ns)
            result.step_ns = (double)(now - before);
        before = now;
    }
    result.ns = (double)(now - begin);
    if (!ngx_phos_chat_is_whole(&chat) || chat.token_count_output != 7)
        bench_fail("the answer was not read");
    free(chat.output.data);
    free(chat.model.data);
    free(chat.role.data);
    return result;
}

static struct result with_jansson(const char *answer, size_t length)
{
    struct result result = { 0 };
    uint64_t begin = monotonic_ns();
    json_t *json = json_loadb(answer, length, 0, NULL);
    const char *text = json_string_value(json_object_get(
        json_object_get(json_array_get(json_object_get(json, "choices"), 0),
                        "message"),
        "content"));

    if (text == NULL)
        bench_fail("the answer was not read");
    json_decref(json);
    result.ns = (double)(monotonic_ns() - begin);
    result.step_ns = result.ns;
    return result;
}

/* Medians, so that a step that was interrupted does not count. */
static struct result measure(struct result read(const char *, size_t),
                             const char *answer)
{
    size_t length = strlen(answer);
    size_t count = BYTES_IN_ALL / length;
    double *ns = malloc(count * sizeof(*ns));
    double *step_ns = malloc(count * sizeof(*step_ns));
    struct result result;

    for (size_t i = 0; i < count; i++) {
        result = read(answer, length);
        ns[i] = result.ns;
        step_ns[i] = result.step_ns;
    }
    result.ns = median(ns, count);
    result.step_ns = median(step_ns, count);
    free(ns);
    free(step_ns);
    return result;
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = { 2048, 65536, 1048576 };

    options_end(argc, argv, "usage: bench_chat\n");
    printf("reading an answer: us in all, and of the longest single step\n");
    printf("%12s%16s%10s%16s%10s\n", "text", "reader", "step", "jansson",
           "step");
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        char *answer = make_answer(sizes[i]);
        struct result ours = measure(with_reader, answer);
        struct result theirs = measure(with_jansson, answer);

        printf("%10zu B%16.1f%10.1f%16.1f%10.1f\n", sizes[i], ours.ns / 1e3,
               ours.step_ns / 1e3, theirs.ns / 1e3, theirs.step_ns / 1e3);
        free(answer);
    }
    return EXIT_SUCCESS;
}
