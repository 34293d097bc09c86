#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "variables.h"

static void names_that_nothing_reads_are_found_with_the_nearest(void **state)
{
    char *environment[] = { (char[]){ "HOME=/" },
                            (char[]){ "PHOS_LINGERMS=5" },
                            (char[]){ "PHOS_LINGER_MS=5" },
                            (char[]){ "PHOSPHO_API_KEY=ph_1" },
                            (char[]){ "PHOSD_DB=a" },
                            (char[]){ "PHOS_FROBNICATE=1" },
                            (char[]){ "PHOS_" },
                            NULL };
    const char *nearest = "left alone";
    size_t at = 0;

    (void)state;
    assert_ptr_equal(variables_unknown(environment, &at, &nearest),
                     environment[1]);
    assert_string_equal(nearest, "PHOS_LINGER_MS");
    assert_ptr_equal(variables_unknown(environment, &at, &nearest),
                     environment[5]);
    assert_null(nearest);
    assert_ptr_equal(variables_unknown(environment, &at, &nearest),
                     environment[6]);
    assert_null(variables_unknown(environment, &at, &nearest));
    assert_null(variables_unknown(environment, &at, &nearest));
}

static void a_name_too_long_to_compare_is_still_found(void **state)
{
    char *environment[] = {
        (char[]){ "PHOS_A_NAME_THAT_GOES_ON_AND_ON_AND_ON_AND_ON=1" }, NULL
    };
    const char *nearest = "left alone";
    size_t at = 0;

    (void)state;
    assert_ptr_equal(variables_unknown(environment, &at, &nearest),
                     environment[0]);
    assert_null(nearest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_nothing_reads_are_found_with_the_nearest),
        cmocka_unit_test(a_name_too_long_to_compare_is_still_found),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
