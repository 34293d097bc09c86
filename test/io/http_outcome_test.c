/* The table from how curl ends to what the machine is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/http_internal.h"

/* Codes that somebody has to change the set-up for. */
static const CURLcode configuration[] = {
    CURLE_UNSUPPORTED_PROTOCOL,
    CURLE_URL_MALFORMAT,
    CURLE_NOT_BUILT_IN,
    CURLE_BAD_FUNCTION_ARGUMENT,
    CURLE_UNKNOWN_OPTION,
    CURLE_SETOPT_OPTION_SYNTAX,
    CURLE_INTERFACE_FAILED,
    CURLE_LOGIN_DENIED,
    CURLE_AUTH_ERROR,
    CURLE_PEER_FAILED_VERIFICATION,
    CURLE_SSL_ISSUER_ERROR,
    CURLE_SSL_PINNEDPUBKEYNOTMATCH,
    CURLE_SSL_INVALIDCERTSTATUS,
    CURLE_SSL_CACERT_BADFILE,
    CURLE_SSL_CERTPROBLEM,
    CURLE_SSL_CLIENTCERT,
    CURLE_SSL_CRL_BADFILE,
    CURLE_SSL_CIPHER,
    CURLE_SSL_ENGINE_NOTFOUND,
    CURLE_SSL_ENGINE_SETFAILED,
    CURLE_SSL_ENGINE_INITFAILED,
};

static bool is_configuration(CURLcode code)
{
    for (size_t i = 0; i < sizeof(configuration) / sizeof(configuration[0]);
         i++)
        if (configuration[i] == code)
            return true;
    return false;
}

static void every_code_before_the_first_byte_is_unsent_or_refused(void **state)
{
    (void)state;
    for (int code = 1; code < CURL_LAST; code++) {
        struct phos__http_ending ending = { .code = (CURLcode)code };

        assert_int_equal(phos__http_outcome(&ending),
                         is_configuration(ending.code)
                             ? PHOS_EXCHANGE_REFUSED
                             : PHOS_EXCHANGE_NOT_SENT);
    }
}

static void every_code_after_the_first_byte_may_have_arrived(void **state)
{
    (void)state;
    for (int code = 1; code < CURL_LAST; code++) {
        struct phos__http_ending ending = { .code = (CURLcode)code,
                                            .has_begun = true,
                                            .body_bytes = 10,
                                            .body_written = 10 };

        assert_int_equal(phos__http_outcome(&ending), PHOS_EXCHANGE_BROKEN);
        ending.body_written = 5; /* not even a stall, unless time ran out */
        assert_int_equal(phos__http_outcome(&ending),
                         code == CURLE_OPERATION_TIMEDOUT
                             ? PHOS_EXCHANGE_STALLED
                             : PHOS_EXCHANGE_BROKEN);
        ending.is_answered = true;
        assert_int_equal(phos__http_outcome(&ending), PHOS_EXCHANGE_ANSWERED);
    }
}

static void a_stall_is_a_body_of_which_the_peer_took_a_part(void **state)
{
    static const struct {
        uint64_t body, written, unread;
        phos_exchange exchange;
    } rows[] = {
        { 1000, 1000, 0, PHOS_EXCHANGE_BROKEN },  /* took it all */
        { 1000, 1000, 1, PHOS_EXCHANGE_STALLED }, /* but for a byte */
        { 1000, 999, 0, PHOS_EXCHANGE_STALLED },
        { 1000, 500, 499, PHOS_EXCHANGE_STALLED },  /* one byte only */
        { 1000, 500, 500, PHOS_EXCHANGE_BROKEN },   /* none: nobody there */
        { 1000, 1000, 1400, PHOS_EXCHANGE_BROKEN }, /* nor of the headers */
        { 1000, 0, 0, PHOS_EXCHANGE_BROKEN },
        { 0, 0, 0, PHOS_EXCHANGE_BROKEN },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct phos__http_ending ending = {
            .code = CURLE_OPERATION_TIMEDOUT,
            .has_begun = true,
            .body_bytes = rows[i].body,
            .body_written = rows[i].written,
            .unread = rows[i].unread,
        };

        assert_int_equal(phos__http_outcome(&ending), rows[i].exchange);
    }
}

static void
a_proxy_that_says_no_is_configuration_and_one_in_trouble_is_not(void **state)
{
    static const struct {
        long status;
        phos_exchange exchange;
    } rows[] = {
        { 400, PHOS_EXCHANGE_REFUSED },  { 403, PHOS_EXCHANGE_REFUSED },
        { 407, PHOS_EXCHANGE_REFUSED },  { 408, PHOS_EXCHANGE_NOT_SENT },
        { 429, PHOS_EXCHANGE_NOT_SENT }, { 502, PHOS_EXCHANGE_NOT_SENT },
        { 0, PHOS_EXCHANGE_NOT_SENT },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct phos__http_ending ending = { .code = CURLE_RECV_ERROR,
                                            .proxy_status = rows[i].status };

        assert_int_equal(phos__http_outcome(&ending), rows[i].exchange);
    }
}

static void every_end_has_a_status_that_fits(void **state)
{
    static const struct {
        phos_exchange exchange;
        CURLcode code;
        phos_status status;
    } rows[] = {
        { PHOS_EXCHANGE_ANSWERED, CURLE_OK, PHOS_OK },
        { PHOS_EXCHANGE_CANCELLED, CURLE_OK, PHOS_E_CANCELLED },
        { PHOS_EXCHANGE_REFUSED, CURLE_SSL_CACERT_BADFILE, PHOS_E_CONFIG },
        { PHOS_EXCHANGE_STALLED, CURLE_OPERATION_TIMEDOUT, PHOS_E_TIMEOUT },
        { PHOS_EXCHANGE_BROKEN, CURLE_OPERATION_TIMEDOUT, PHOS_E_TIMEOUT },
        { PHOS_EXCHANGE_NOT_SENT, CURLE_OPERATION_TIMEDOUT, PHOS_E_TIMEOUT },
        { PHOS_EXCHANGE_NOT_SENT, CURLE_COULDNT_CONNECT, PHOS_E_NETWORK },
        { PHOS_EXCHANGE_BROKEN, CURLE_OUT_OF_MEMORY, PHOS_E_NO_MEMORY },
        { PHOS_EXCHANGE_BROKEN, CURLE_UNSUPPORTED_PROTOCOL, PHOS_E_PROTOCOL },
        { PHOS_EXCHANGE_BROKEN, CURLE_GOT_NOTHING, PHOS_E_NETWORK },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(phos__http_status_of(rows[i].exchange, rows[i].code),
                         rows[i].status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_before_the_first_byte_is_unsent_or_refused),
        cmocka_unit_test(every_code_after_the_first_byte_may_have_arrived),
        cmocka_unit_test(a_stall_is_a_body_of_which_the_peer_took_a_part),
        cmocka_unit_test(
            a_proxy_that_says_no_is_configuration_and_one_in_trouble_is_not),
        cmocka_unit_test(every_end_has_a_status_that_fits),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
