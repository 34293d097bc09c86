#include "machine.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <uv.h>

#include "phos/client.h"
#include "text.h"
#include "variables.h"

extern char **environ;

/* A client needs its loop, a few sockets for each request under way, and what
 * the program opens itself. */
enum { DESCRIPTORS_MIN = 64 };

/* ---- settings ---- */

static void keep_first(const phos_diagnostic *diagnostic, void *user_data)
{
    phos_error *first = user_data;

    if (first->status == PHOS_OK)
        *first = diagnostic->error;
}

static phos_str view(const char *text, const char *otherwise)
{
    if (text == NULL)
        text = otherwise;
    return phos_str_make(text, strlen(text));
}

static void check_unknown(struct findings *findings)
{
    const char *entry;
    const char *nearest;
    size_t at = 0;

    while ((entry = variables_unknown(environ, &at, &nearest)) != NULL) {
        char advice[120] = "unset it";

        if (nearest != NULL)
            snprintf(advice, sizeof(advice), "did you mean %s?", nearest);
        findings_add(findings, FINDING_WARN, "variables", advice,
                     "%.*s is set, but nothing reads it",
                     (int)strcspn(entry, "="), entry);
    }
}

void machine_check_settings(struct findings *findings,
                            const struct connection *connection)
{
    phos_options options = phos_options_default();
    phos_client *client = NULL;
    phos_error first;
    phos_status status;

    memset(&first, 0, sizeof(first));
    /* Found missing or wrong already, these two must not hide the rest. */
    options.endpoint = view(connection->endpoint, "http://127.0.0.1:8787");
    options.api_key = view(connection->api_key, "ph_none");
    options.on_diagnostic = keep_first;
    options.user_data = &first;
    status = phos_client_open(&options, &client);
    if (status == PHOS_OK)
        findings_add(findings, FINDING_OK, "settings", NULL,
                     "the library takes them");
    else
        findings_add(findings, FINDING_FAIL, "settings",
                     "correct or unset the variable: PHOS_ and the option's "
                     "name in capitals",
                     "a client cannot be opened: %s",
                     first.text[0] != '\0' ? first.text
                                           : phos_status_text(status));
    phos_client_close(client, 0, NULL);
    phos_client_free(client);
    check_unknown(findings);
}

/* ---- memory ---- */

static uint64_t ring_bytes(void)
{
    const char *text = getenv("PHOS_RING_BYTES");
    uint64_t bytes;

    if (text != NULL && options_number(text, &bytes))
        return bytes;
    return phos_options_default().ring_bytes;
}

void machine_check_memory(struct findings *findings)
{
    static const char folder[] = "/dev/shm";
    char free_text[TEXT_NUMBER_BYTES], ring_text[TEXT_NUMBER_BYTES];
    struct statvfs info;
    uint64_t free_bytes;

    text_bytes(ring_bytes(), ring_text);
    if (statvfs(folder, &info) != 0) {
        findings_add(findings, FINDING_WARN, "memory",
                     "mount a tmpfs there before a ring is to be kept in a "
                     "file",
                     "a ring takes %s of anonymous memory; there is no %s",
                     ring_text, folder);
        return;
    }
    free_bytes = (uint64_t)info.f_bavail * info.f_frsize;
    text_bytes(free_bytes, free_text);
    if (free_bytes / 2 < ring_bytes())
        findings_add(findings, FINDING_WARN, "memory",
                     "give it more before a ring is to be kept in a file; "
                     "containers: --shm-size",
                     "a ring takes %s of anonymous memory; %s has only %s "
                     "free",
                     ring_text, folder, free_text);
    else
        findings_add(findings, FINDING_OK, "memory", NULL,
                     "a ring takes %s of anonymous memory; %s has %s free",
                     ring_text, folder, free_text);
}

void machine_check_limits(struct findings *findings)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    if (limit.rlim_cur < DESCRIPTORS_MIN)
        findings_add(findings, FINDING_WARN, "files",
                     "raise it: ulimit -n 1024, or LimitNOFILE= of the "
                     "service",
                     "%" PRIu64 " open files are few beside what a program "
                     "opens itself",
                     (uint64_t)limit.rlim_cur);
    else
        findings_add(findings, FINDING_OK, "files", NULL,
                     "%" PRIu64 " may be open; memory need not be locked",
                     (uint64_t)limit.rlim_cur);
}

/* ---- versions ---- */

void machine_check_versions(struct findings *findings)
{
    const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
    const char *tls = curl->ssl_version != NULL ? curl->ssl_version : "no TLS";
    const char *advice = NULL;

    if (strcmp(phos_version(), PHOS_VERSION_TEXT) != 0)
        advice = "phos and libphos are of different versions: install both "
                 "from one";
    else if (curl->ssl_version == NULL)
        advice = "https needs a libcurl with TLS";
    else if ((curl->features & CURL_VERSION_ASYNCHDNS) == 0)
        advice = "this libcurl waits for the resolver; one with asynchronous "
                 "name look-up does not";
    findings_add(findings, advice == NULL ? FINDING_OK : FINDING_WARN,
                 "versions", advice,
                 "phos %s, libphos %s, libcurl %s with %s, libuv %s, "
                 "jansson %s",
                 PHOS_VERSION_TEXT, phos_version(), curl->version, tls,
                 uv_version_string(), jansson_version_str());
}
