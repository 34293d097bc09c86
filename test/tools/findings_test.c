#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "findings.h"

/* What is printed, until the next call. */
struct page {
    FILE *out;
    char *text;
    size_t length;
};

static void open_page(struct page *page)
{
    page->text = NULL;
    page->out = open_memstream(&page->text, &page->length);
    assert_non_null(page->out);
}

static void a_line_names_the_check_and_the_next_what_to_do(void **state)
{
    struct findings findings;
    struct page page;

    (void)state;
    open_page(&page);
    findings_init(&findings, page.out, false);
    findings_add(&findings, FINDING_OK, "key", NULL, "set (%s)", "--api-key");
    findings_add(&findings, FINDING_WARN, "clock", "set it", "%d s\x1b off", 9);
    assert_int_equal(findings_end(&findings), EXIT_OK);
    fclose(page.out);
    assert_string_equal(page.text, "ok    key         set (--api-key)\n"
                                   "warn  clock       9 s\\x1b off\n"
                                   "                  -> set it\n"
                                   "\n0 failed, 1 warning\n");
    findings_deinit(&findings);
    free(page.text);
}

static void the_worst_finding_decides_the_exit_code(void **state)
{
    static const struct {
        enum finding_status status;
        bool is_incomplete;
        int code;
        const char *result;
    } rows[] = {
        { FINDING_OK, false, EXIT_OK, "ok" },
        { FINDING_SKIP, false, EXIT_OK, "ok" },
        { FINDING_WARN, false, EXIT_OK, "warn" },
        { FINDING_FAIL, false, EXIT_SOME, "fail" },
        { FINDING_FAIL, true, EXIT_CONFIG, "fail" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct findings findings;
        struct page page;
        json_t *whole;

        open_page(&page);
        findings_init(&findings, page.out, true);
        findings_add(&findings, rows[i].status, "a", NULL, "b");
        findings.is_incomplete = rows[i].is_incomplete;
        assert_int_equal(findings_end(&findings), rows[i].code);
        fclose(page.out);
        whole = json_loads(page.text, 0, NULL);
        assert_string_equal(json_string_value(json_object_get(whole, "result")),
                            rows[i].result);
        assert_int_equal(
            json_integer_value(json_object_get(whole, "exit_code")),
            rows[i].code);
        json_decref(whole);
        findings_deinit(&findings);
        free(page.text);
    }
}

static void json_holds_text_and_advice_of_any_bytes(void **state)
{
    struct findings findings;
    struct page page;
    json_t *whole;
    const json_t *first;

    (void)state;
    open_page(&page);
    findings_init(&findings, page.out, true);
    findings_add(&findings, FINDING_FAIL, "a", "\xff", "%s", "b\xff\x1b");
    findings_end(&findings);
    fclose(page.out);
    assert_null(strchr(page.text, '\x1b'));
    whole = json_loads(page.text, 0, NULL);
    first = json_array_get(json_object_get(whole, "checks"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "name")), "a");
    assert_string_equal(json_string_value(json_object_get(first, "status")),
                        "fail");
    assert_string_equal(json_string_value(json_object_get(first, "text")),
                        "b\xef\xbf\xbd\x1b");
    assert_string_equal(json_string_value(json_object_get(first, "advice")),
                        "\xef\xbf\xbd");
    json_decref(whole);
    findings_deinit(&findings);
    free(page.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_names_the_check_and_the_next_what_to_do),
        cmocka_unit_test(the_worst_finding_decides_the_exit_code),
        cmocka_unit_test(json_holds_text_and_advice_of_any_bytes),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
