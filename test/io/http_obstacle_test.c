/* The table from how curl ends to what stood in the way, and in which words. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "io/http_internal.h"

#define SERVICE "http://service.test:8080/base/api/ingest/batch"
#define SECURE "https://service.test/api/ingest/batch"

static phos_error describe(const struct phos__http_ending *ending,
                           const struct phos__http_way *way)
{
    phos_error error;

    phos__http_describe(ending, way, PHOS_E_NETWORK, &error);
    assert_int_equal(error.status, PHOS_E_NETWORK);
    assert_int_equal(error.origin, PHOS_ORIGIN_CURL);
    assert_int_equal(error.code, ending->code);
    return error;
}

static void each_obstacle_is_told_apart_and_says_where(void **state)
{
    static const struct {
        const char *url, *proxy, *socket;
        struct phos__http_ending ending;
        phos_obstacle obstacle;
        const char *text;
    } rows[] = {
        { SECURE,
          NULL,
          NULL,
          { .code = CURLE_COULDNT_RESOLVE_HOST, .words = "curl's words" },
          PHOS_OBSTACLE_NAME,
          "the name service.test cannot be resolved" },
        { SECURE,
          NULL,
          NULL,
          { .code = CURLE_OPERATION_TIMEDOUT, .words = "curl's words" },
          PHOS_OBSTACLE_NAME,
          "the name service.test cannot be resolved in time" },
        { SERVICE,
          "http://me:word@proxy.test:3128",
          NULL,
          { .code = CURLE_COULDNT_RESOLVE_PROXY, .words = "curl's words" },
          PHOS_OBSTACLE_NAME,
          "the proxy's name proxy.test cannot be resolved" },
        { SERVICE,
          NULL,
          NULL,
          { .code = CURLE_COULDNT_CONNECT,
            .words = "curl's words",
            .system_error = ECONNREFUSED },
          PHOS_OBSTACLE_CONNECT,
          "cannot connect to service.test:8080: Connection refused" },
        { SECURE,
          NULL,
          NULL,
          { .code = CURLE_COULDNT_CONNECT, .words = "curl's words" },
          PHOS_OBSTACLE_CONNECT,
          "cannot connect to service.test:443: curl's words" },
        { "http://[::1]/api",
          NULL,
          NULL,
          { .code = CURLE_COULDNT_CONNECT,
            .words = "curl's words",
            .system_error = EHOSTUNREACH },
          PHOS_OBSTACLE_CONNECT,
          "cannot connect to [::1]:80: No route to host" },
        { SERVICE,
          NULL,
          "/run/phosd.sock",
          { .code = CURLE_COULDNT_CONNECT,
            .words = "curl's words",
            .system_error = ENOENT },
          PHOS_OBSTACLE_CONNECT,
          "cannot connect to /run/phosd.sock: No such file or directory" },
        { SECURE,
          "me:word@proxy.test:3128",
          NULL,
          { .code = CURLE_COULDNT_CONNECT,
            .words = "curl's words",
            .system_error = ECONNREFUSED },
          PHOS_OBSTACLE_CONNECT,
          "cannot connect to the proxy proxy.test:3128: Connection refused" },
        { SECURE,
          NULL,
          NULL,
          { .code = CURLE_OPERATION_TIMEDOUT,
            .is_resolved = true,
            .words = "curl's words" },
          PHOS_OBSTACLE_CONNECT,
          "cannot connect to service.test:443: no answer in time" },
        { SECURE,
          "proxy.test:3128",
          NULL,
          { .code = CURLE_RECV_ERROR,
            .proxy_status = 407,
            .words = "curl's words" },
          PHOS_OBSTACLE_PROXY,
          "the proxy proxy.test:3128 does not let the request through: "
          "HTTP 407" },
        { SECURE,
          "proxy.test:3128",
          NULL,
          { .code = CURLE_PROXY, .words = "curl's words" },
          PHOS_OBSTACLE_PROXY,
          "the proxy proxy.test:3128 does not let the request through: "
          "curl's words" },
        { SECURE,
          "proxy.test:3128",
          NULL,
          { .code = CURLE_OPERATION_TIMEDOUT,
            .is_resolved = true,
            .is_connected = true,
            .is_https = true,
            .words = "slow" },
          PHOS_OBSTACLE_PROXY,
          "the proxy proxy.test:3128 does not let the request through: "
          "slow" },
        { SECURE,
          NULL,
          NULL,
          { .code = CURLE_OPERATION_TIMEDOUT,
            .is_resolved = true,
            .is_connected = true,
            .is_https = true,
            .words = "slow" },
          PHOS_OBSTACLE_TLS,
          "no TLS with service.test:443: slow" },
        { SECURE,
          NULL,
          NULL,
          { .code = CURLE_SSL_CONNECT_ERROR,
            .is_https = true,
            .words = "reset by peer" },
          PHOS_OBSTACLE_TLS,
          "no TLS with service.test:443: reset by peer" },
        { SECURE,
          NULL,
          NULL,
          { .code = CURLE_SSL_CONNECT_ERROR,
            .is_https = true,
            .words = "error:0A00010B:SSL routines::wrong version number" },
          PHOS_OBSTACLE_NO_TLS,
          "the server does not speak TLS on service.test:443" },
        { SECURE,
          NULL,
          NULL,
          { .code = CURLE_PEER_FAILED_VERIFICATION,
            .is_https = true,
            .words = "SSL certificate problem: self-signed certificate" },
          PHOS_OBSTACLE_UNTRUSTED,
          "the certificate of service.test:443 is not trusted: self-signed "
          "certificate" },
        { SECURE,
          NULL,
          NULL,
          { .code = CURLE_PEER_FAILED_VERIFICATION,
            .is_https = true,
            .words = "SSL certificate problem: certificate has expired" },
          PHOS_OBSTACLE_EXPIRED,
          "the certificate of service.test:443 is not valid now: certificate "
          "has expired" },
        { SECURE,
          NULL,
          NULL,
          { .code = CURLE_PEER_FAILED_VERIFICATION,
            .is_https = true,
            .words = "SSL: no alternative certificate subject name matches "
                     "target host name 'service.test'" },
          PHOS_OBSTACLE_OTHER_HOST,
          "the certificate of service.test:443 is for another host" },
        { SERVICE,
          NULL,
          NULL,
          { .code = CURLE_OUT_OF_MEMORY, .words = "Out of memory" },
          PHOS_OBSTACLE_UNKNOWN,
          "Out of memory" },
        /* bytes have left: whatever it was, it was not the way */
        { SERVICE,
          NULL,
          NULL,
          { .code = CURLE_OPERATION_TIMEDOUT,
            .has_begun = true,
            .words = "Operation timed out" },
          PHOS_OBSTACLE_UNKNOWN,
          "Operation timed out" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct phos__http_way way = { phos_str_make(rows[i].url,
                                                          strlen(rows[i].url)),
                                            rows[i].proxy, rows[i].socket };
        struct phos__http_ending ending = rows[i].ending;

        ending.is_https = strncmp(rows[i].url, "https", 5) == 0;
        assert_string_equal(describe(&ending, &way).text, rows[i].text);
        assert_int_equal(phos__http_obstacle(&ending, &way), rows[i].obstacle);
    }
}

static void long_names_and_words_are_cut(void **state)
{
    static char url[2048] = "https://", words[256];
    const struct phos__http_way way = { phos_str_make(url, sizeof(url) - 1),
                                        NULL, NULL };
    struct phos__http_ending ending = { .code = CURLE_SSL_CONNECT_ERROR,
                                        .is_https = true,
                                        .words = words };

    (void)state;
    memset(url + 8, 'a', sizeof(url) - 9);
    memset(words, 'w', sizeof(words) - 1);
    assert_true(strlen(describe(&ending, &way).text) < PHOS_ERROR_TEXT_BYTES);
    assert_non_null(strstr(describe(&ending, &way).text, "aaa: www"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_obstacle_is_told_apart_and_says_where),
        cmocka_unit_test(long_names_and_words_are_cut),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
