#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "client/stage.h"

static phos_allocator libc;

static void put(struct phos__stage *stage, uint32_t event, const char *json)
{
    phos__stage_begin(stage);
    phos__buffer_append(&stage->body, json, strlen(json));
    assert_int_equal(phos__stage_end(stage), strlen(json));
    phos__stage_name(stage, event);
}

static void assert_body(const struct phos__buffer *body, const char *want)
{
    assert_int_equal(body->bytes, strlen(want));
    assert_memory_equal(body->data, want, strlen(want));
}

static void exactly_the_staged_events_are_handed_over(void **state)
{
    const uint32_t events[] = { 4, 9 };
    struct phos__stage stage;
    struct phos__buffer body;

    (void)state;
    phos__buffer_init(&body, &libc);
    assert_true(phos__stage_init(&stage, &libc, 4));
    put(&stage, 4, "{\"a\":1}");
    put(&stage, 9, "{}");
    assert_true(phos__stage_take(&stage, events, 2, &body));
    assert_body(&body, "{\"events\":[{\"a\":1},{}]}");
    assert_int_equal(stage.count, 0);
    put(&stage, 1, "[]");
    assert_true(phos__stage_take(&stage, (uint32_t[]){ 1 }, 1, &body));
    assert_body(&body, "{\"events\":[[]]}");
    phos__stage_deinit(&stage);
    phos__buffer_deinit(&body);
}

static void what_was_staged_beyond_them_stays(void **state)
{
    struct phos__stage stage;
    struct phos__buffer body;

    (void)state;
    phos__buffer_init(&body, &libc);
    assert_true(phos__stage_init(&stage, &libc, 4));
    put(&stage, 1, "\"one\"");
    put(&stage, 2, "\"two\"");
    put(&stage, 3, "\"three\"");
    assert_true(phos__stage_take(&stage, (uint32_t[]){ 1 }, 1, &body));
    assert_body(&body, "{\"events\":[\"one\"]}");
    assert_int_equal(stage.count, 2);
    put(&stage, 4, "\"four\"");
    phos__stage_pop(&stage);
    assert_true(phos__stage_take(&stage, (uint32_t[]){ 2, 3 }, 2, &body));
    assert_body(&body, "{\"events\":[\"two\",\"three\"]}");
    phos__stage_deinit(&stage);
    phos__buffer_deinit(&body);
}

static void other_events_are_not_taken_for_them(void **state)
{
    struct phos__stage stage;
    struct phos__buffer body;

    (void)state;
    phos__buffer_init(&body, &libc);
    assert_true(phos__stage_init(&stage, &libc, 4));
    put(&stage, 1, "1");
    put(&stage, 2, "2");
    assert_false(phos__stage_take(&stage, (uint32_t[]){ 2 }, 1, &body));
    assert_false(phos__stage_take(&stage, (uint32_t[]){ 1, 2, 3 }, 3, &body));
    assert_true(phos__stage_take(&stage, (uint32_t[]){ 1, 2 }, 2, &body));
    phos__stage_deinit(&stage);
    phos__buffer_deinit(&body);
}

static void *no_memory(void *user_data, void *memory, size_t bytes)
{
    (void)user_data;
    (void)memory;
    (void)bytes;
    return NULL;
}

static void an_event_that_finds_no_memory_is_not_staged(void **state)
{
    struct phos__stage stage;
    char large[4096];

    (void)state;
    memset(large, 'x', sizeof(large));
    assert_true(phos__stage_init(&stage, &libc, 4));
    put(&stage, 1, "1");
    stage.body.allocator.reallocate = no_memory;
    phos__stage_begin(&stage);
    phos__buffer_append(&stage.body, large, sizeof(large));
    assert_int_equal(phos__stage_end(&stage), 0);
    assert_int_equal(stage.count, 1);
    stage.body.allocator.reallocate = libc.reallocate;
    put(&stage, 2, "2");
    assert_int_equal(stage.count, 2);
    phos__stage_deinit(&stage);
}

static int find_allocator(void **state)
{
    const phos_allocator none = { NULL, NULL, NULL, NULL };
    bool is_valid;

    (void)state;
    libc = phos__allocator_resolve(&none, &is_valid);
    return is_valid ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exactly_the_staged_events_are_handed_over),
        cmocka_unit_test(what_was_staged_beyond_them_stays),
        cmocka_unit_test(other_events_are_not_taken_for_them),
        cmocka_unit_test(an_event_that_finds_no_memory_is_not_staged),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, find_allocator, NULL);
}
