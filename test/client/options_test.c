#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "client/options.h"

static phos_allocator libc;
static phos_error error;
static struct phos__settings settings;

static phos_options good_options(void)
{
    phos_options options = phos_options_default();

    options.endpoint = PHOS_STR("https://example.org/base/");
    options.api_key = PHOS_STR("ph_key");
    return options;
}

static phos_status resolve(const phos_options *options)
{
    memset(&error, 0, sizeof(error));
    return phos__settings_init(&settings, options, &libc, &error);
}

static void assert_refused(const phos_options *options, const char *name)
{
    assert_int_equal(resolve(options), PHOS_E_INVALID);
    if (!strstr(error.text, name))
        fail_msg("\"%s\" does not name %s", error.text, name);
}

static void the_batch_route_is_joined_to_any_prefix(void **state)
{
    phos_options options = good_options();

    (void)state;
    assert_int_equal(resolve(&options), PHOS_OK);
    assert_string_equal(settings.url,
                        "https://example.org/base/api/ingest/batch");
    phos__settings_deinit(&settings);
}

static void what_is_missing_is_named(void **state)
{
    phos_options options = good_options();

    (void)state;
    options.endpoint = PHOS_STR("");
    assert_refused(&options, "endpoint");
    options = good_options();
    options.api_key = PHOS_STR("");
    assert_refused(&options, "api_key");
}

static void a_length_without_bytes_is_named(void **state)
{
    phos_options options = good_options();

    (void)state;
    options.endpoint = phos_str_make(NULL, 8);
    assert_refused(&options, "endpoint");
    options = good_options();
    options.api_key = phos_str_make(NULL, 8);
    assert_refused(&options, "api_key");
    options = good_options();
    options.proxy = phos_str_make(NULL, 8);
    assert_refused(&options, "proxy");
}

struct range {
    const char *name;
    size_t offset;
    uint32_t low, high; /* the last values that are too low and too high */
};

static void numbers_out_of_range_are_named(void **state)
{
    static const struct range ranges[] = {
#define RANGE(field, low, high) \
    { #field, offsetof(phos_options, field), low, high }
        RANGE(linger_ms, UINT32_MAX, 3600001),
        RANGE(batch_events_max, 0, 101),
        RANGE(batch_bytes_max, 1023, 8388609),
        RANGE(in_flight_max, 0, 17),
        RANGE(ring_bytes, 65535, UINT32_C(0x80000000)),
        RANGE(ring_bytes, 65537, 100000),
        RANGE(event_bytes_max, 255, 262145),
        RANGE(retry_base_ms, 0, 3600001),
        RANGE(retry_cap_ms, 0, 3600001),
        RANGE(retry_cap_ms, 249, UINT32_MAX),
        RANGE(dedupe_window, UINT32_MAX, 1048577),
        RANGE(connect_timeout_ms, 0, 3600001),
        RANGE(request_timeout_ms, 0, 3600001),
        RANGE(gzip_level, UINT32_MAX, 10),
        RANGE(exit_flush_ms, UINT32_MAX, 3600001),
#undef RANGE
    };

    (void)state;
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        phos_options options = good_options();
        char *field = (char *)&options + ranges[i].offset;

        memcpy(field, &ranges[i].low, sizeof(uint32_t));
        assert_refused(&options, ranges[i].name);
        memcpy(field, &ranges[i].high, sizeof(uint32_t));
        assert_refused(&options, ranges[i].name);
    }
}

static void an_unknown_way_with_large_events_is_named(void **state)
{
    phos_options options = good_options();

    (void)state;
    options.oversize = (phos_oversize)2;
    assert_refused(&options, "oversize");
}

static void a_key_over_plain_http_needs_a_loopback_host(void **state)
{
    phos_options options = good_options();

    (void)state;
    options.endpoint = PHOS_STR("http://example.org");
    assert_int_equal(resolve(&options), PHOS_E_INSECURE);
    options.allow_plain_http = true;
    assert_int_equal(resolve(&options), PHOS_OK);
    phos__settings_deinit(&settings);
    options.allow_plain_http = false;
    options.unix_socket_path = PHOS_STR("/run/collector.sock");
    assert_int_equal(resolve(&options), PHOS_OK);
    phos__settings_deinit(&settings);
    options = good_options();
    options.endpoint = PHOS_STR("http://localhost:8787");
    assert_int_equal(resolve(&options), PHOS_OK);
    phos__settings_deinit(&settings);
}

static void a_key_that_no_header_may_hold_is_refused(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        phos_options options = good_options();
        char key[] = { 'p', (char)byte, 'h' };
        bool may_stand = byte >= 0x20 && byte < 0x7F;

        options.api_key = phos_str_make(key, sizeof(key));
        if (may_stand) {
            assert_int_equal(resolve(&options), PHOS_OK);
            phos__settings_deinit(&settings);
        } else {
            assert_refused(&options, "api_key");
        }
        assert_null(strstr(error.text, "p\001h"));
    }
}

static void a_rate_is_a_decimal_between_0_and_1(void **state)
{
    static const struct {
        const char *text;
        double rate; /* -1: refused */
    } rows[] = { { "0", 0 },
                 { "1", 1 },
                 { "0.05", 0.05 },
                 { ".5", 0.5 },
                 { "1.000", 1 },
                 { "0.123456789", 0.123456789 },
                 { "1.01", -1 },
                 { "2", -1 },
                 { "0,5", -1 },
                 { "-0.5", -1 },
                 { "half", -1 },
                 { ".", -1 },
                 { "5%", -1 },
                 { "1e-3", -1 },
                 { "0.1.1", -1 },
                 { "nan", -1 },
                 { "0.0000000000000001", -1 } };
    phos_options options = good_options();

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        setenv("PHOS_SAMPLE_RATE", rows[i].text, 1);
        if (rows[i].rate < 0) {
            assert_refused(&options, "PHOS_SAMPLE_RATE");
            continue;
        }
        assert_int_equal(resolve(&options), PHOS_OK);
        assert_true(settings.options.sample_rate == rows[i].rate);
        phos__settings_deinit(&settings);
    }
    options.sample_rate = 0.25; /* code wins */
    assert_int_equal(resolve(&options), PHOS_OK);
    assert_true(settings.options.sample_rate == 0.25);
    phos__settings_deinit(&settings);
    unsetenv("PHOS_SAMPLE_RATE");

    options.sample_rate = -0.001;
    assert_refused(&options, "sample_rate");
    options.sample_rate = 1.001;
    assert_refused(&options, "sample_rate");
    options.sample_rate = (double)NAN;
    assert_refused(&options, "sample_rate");
}

static void the_environment_fills_what_code_left(void **state)
{
    phos_options options = phos_options_default();

    (void)state;
    setenv("PHOS_ENDPOINT", "https://from.environment", 1);
    setenv("PHOSPHO_API_KEY", "ph_environment", 1);
    setenv("PHOSPHO_PROJECT_ID", "p1", 1);
    setenv("PHOS_LINGER_MS", "7", 1);
    setenv("PHOS_IN_FLIGHT_MAX", "9", 1);
    setenv("PHOS_AGE_MAX_MS", "0", 1);
    options.in_flight_max = 2;
    assert_int_equal(resolve(&options), PHOS_OK);
    assert_string_equal(settings.texts.endpoint, "https://from.environment");
    assert_string_equal(settings.texts.api_key, "ph_environment");
    assert_string_equal(settings.texts.project_id, "p1");
    assert_int_equal(settings.options.linger_ms, 7);
    assert_int_equal(settings.options.in_flight_max, 2); /* code wins */
    assert_int_equal(settings.options.age_max_ms, 0);
    phos__settings_deinit(&settings);

    options.use_environment = false;
    assert_refused(&options, "endpoint");
    options.use_environment = true;
    setenv("PHOS_LINGER_MS", "soon", 1);
    assert_refused(&options, "PHOS_LINGER_MS");
    setenv("PHOS_LINGER_MS", "99999999999999999999", 1);
    assert_refused(&options, "PHOS_LINGER_MS");
    setenv("PHOS_LINGER_MS", "", 1); /* empty is as good as not set */
    setenv("PHOS_AGE_MAX_MS", "", 1);
    setenv("PHOS_ALLOW_PLAIN_HTTP", "", 1);
    setenv("PHOS_PROXY", "", 1);
    assert_int_equal(resolve(&options), PHOS_OK);
    assert_int_equal(settings.options.linger_ms, 500);
    assert_int_equal(settings.options.age_max_ms, 3600000);
    assert_false(settings.options.allow_plain_http);
    phos__settings_deinit(&settings);

    setenv("PHOS_ALLOW_PLAIN_HTTP", "1", 1);
    assert_int_equal(resolve(&options), PHOS_OK);
    assert_true(settings.options.allow_plain_http);
    phos__settings_deinit(&settings);
    setenv("PHOS_ALLOW_PLAIN_HTTP", "true", 1); /* told, not taken for no */
    assert_refused(&options, "PHOS_ALLOW_PLAIN_HTTP");

    unsetenv("PHOS_ALLOW_PLAIN_HTTP");
    unsetenv("PHOS_PROXY");
    unsetenv("PHOS_ENDPOINT");
    unsetenv("PHOSPHO_API_KEY");
    unsetenv("PHOSPHO_PROJECT_ID");
    unsetenv("PHOS_LINGER_MS");
    unsetenv("PHOS_IN_FLIGHT_MAX");
    unsetenv("PHOS_AGE_MAX_MS");
}

static void older_and_newer_callers_are_understood(void **state)
{
    struct {
        phos_options known;
        char later[64];
    } newer;
    phos_options older = good_options();

    (void)state;
    older.struct_size = offsetof(phos_options, proxy);
    older.linger_ms = 3;
    memset(&older.proxy, 0x55, sizeof(older) - older.struct_size);
    assert_int_equal(resolve(&older), PHOS_OK);
    assert_int_equal(settings.options.linger_ms, 3);
    assert_null(settings.options.proxy.data);
    phos__settings_deinit(&settings);

    memset(&newer, 0x55, sizeof(newer));
    newer.known = good_options();
    newer.known.struct_size = sizeof(newer);
    assert_int_equal(resolve(&newer.known), PHOS_OK);
    phos__settings_deinit(&settings);
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
        cmocka_unit_test(the_batch_route_is_joined_to_any_prefix),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(a_length_without_bytes_is_named),
        cmocka_unit_test(numbers_out_of_range_are_named),
        cmocka_unit_test(an_unknown_way_with_large_events_is_named),
        cmocka_unit_test(a_key_over_plain_http_needs_a_loopback_host),
        cmocka_unit_test(a_key_that_no_header_may_hold_is_refused),
        cmocka_unit_test(a_rate_is_a_decimal_between_0_and_1),
        cmocka_unit_test(the_environment_fills_what_code_left),
        cmocka_unit_test(older_and_newer_callers_are_understood),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, find_allocator, NULL);
}
