#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "harness/failing_alloc.h"
#include "wire/problem.h"

static phos_str view(const char *text)
{
    return phos_str_make(text, strlen(text));
}

static void write_list(const struct phos__problems *problems, char *to,
                       size_t bytes)
{
    size_t at = 0;

    to[0] = '\0';
    for (size_t i = 0; i < problems->count; i++) {
        const phos_problem *item = &problems->items[i];

        at += (size_t)snprintf(to + at, bytes - at, "%.*s|%.*s|%.*s;",
                               (int)item->location.length, item->location.data,
                               (int)item->message.length, item->message.data,
                               (int)item->type.length, item->type.data);
        assert_true(at < bytes);
    }
}

struct row {
    const char *type, *body, *detail, *list;
};

static void an_error_body_says_what_it_says(void **state)
{
    static const struct row rows[] = {
        { "application/json", "{\"detail\":\"Agent not found\"}",
          "Agent not found", "" },
        { "", " {\"error\":\"no\"}", "no", "" },
        { "", "{\"error\":{\"message\":\"no\",\"code\":7}}", "no", "" },
        { "application/json",
          "{\"detail\":[{\"loc\":[\"body\",\"messages\",0,\"role\"],"
          "\"msg\":\"Field required\",\"type\":\"missing\"},"
          "{\"loc\":[\"query\"],\"msg\":\"too long\"}]}",
          "Field required",
          "body.messages.0.role|Field required|missing;query|too long|;" },
        { "", "{\"detail\":[1,null,\"x\",{}]}", "", "||;||;||;||;" },
        { "", "{\"detail\":[]}", "", "" },
        { "", "{\"detail\":null}", "", "" },
        { "", "[\"detail\"]", "", "" },
        { "text/plain; charset=utf-8", "Internal Server Error",
          "Internal Server Error", "" },
        { "text/html", "<html>Not found</html>", "", "" },
        { "", "", "", "" },
        { "application/json", "{\"detail\":\"cut", "", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct failing_alloc memory;
        phos_allocator allocator = failing_alloc_make(&memory);
        struct phos__problems problems;
        char detail[256], list[1024];

        failing_alloc_reset(&memory, 0, false);
        phos__problems_init(&problems, &allocator);
        phos__problems_read(&problems, view(rows[i].type), view(rows[i].body));
        snprintf(detail, sizeof(detail), "%.*s", (int)problems.detail.length,
                 problems.detail.data);
        write_list(&problems, list, sizeof(list));
        if (strcmp(detail, rows[i].detail) != 0 ||
            strcmp(list, rows[i].list) != 0)
            fail_msg("%s: want '%s' %s, got '%s' %s", rows[i].body,
                     rows[i].detail, rows[i].list, detail, list);
        phos__problems_deinit(&problems);
        assert_int_equal(atomic_load(&memory.blocks), 0);
    }
}

static void a_list_has_an_end(void **state)
{
    static char body[100000];
    size_t at = (size_t)sprintf(body, "{\"detail\":[");
    struct failing_alloc memory;
    phos_allocator allocator = failing_alloc_make(&memory);
    struct phos__problems problems;

    (void)state;
    for (int i = 0; i < 1000; i++)
        at += (size_t)sprintf(body + at, "%s{\"loc\":[%d],\"msg\":\"m\"}",
                              i ? "," : "", i);
    sprintf(body + at, "]}");
    failing_alloc_reset(&memory, 0, false);
    phos__problems_init(&problems, &allocator);
    phos__problems_read(&problems, view("application/json"), view(body));
    assert_int_equal(problems.count, PHOS__PROBLEMS_MAX);
    assert_int_equal(problems.items[63].location.length, 2);
    assert_memory_equal(problems.items[63].location.data, "63", 2);
    phos__problems_deinit(&problems);
}

static void without_memory_it_says_nothing(void **state)
{
    static const char body[] =
        "{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"no\",\"type\":\"t\"}]}";

    (void)state;
    for (uint64_t fail_at = 1; fail_at <= 2; fail_at++) {
        struct failing_alloc memory;
        phos_allocator allocator = failing_alloc_make(&memory);
        struct phos__problems problems;

        failing_alloc_reset(&memory, fail_at, true);
        phos__problems_init(&problems, &allocator);
        phos__problems_read(&problems, view(""), view(body));
        assert_int_equal(problems.count, 0);
        assert_int_equal(problems.detail.length, 0);
        phos__problems_deinit(&problems);
        assert_int_equal(atomic_load(&memory.blocks), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_body_says_what_it_says),
        cmocka_unit_test(a_list_has_an_end),
        cmocka_unit_test(without_memory_it_says_nothing),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
