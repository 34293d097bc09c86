/*
 * memory - the private dirty memory of a process that uses the library, beside
 * one that made a single request with libcurl alone. What is left is the
 * library's own: ring, tables, buffers, the worker's stack. Each is a process
 * of its own, started afresh.
 */
#define _GNU_SOURCE
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"
#include "samples.h"
#include "target.h"

enum { EVENT_COUNT = 20000, MIB = 1024 * 1024 };

/* Above ring, batch buffers and the program with libcurl. */
static const uint64_t excess_max = 8 * MIB;

static size_t discard(char *data, size_t size, size_t count, void *user_data)
{
    (void)data;
    (void)user_data;
    return size * count;
}

static void curl_alone(uint16_t port)
{
    char url[96];
    struct curl_slist *headers = NULL;
    CURL *easy;
    CURLcode code;

    snprintf(url, sizeof(url), "http://127.0.0.1:%u/api/ingest/batch", port);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    easy = curl_easy_init();
    headers = curl_slist_append(headers, "Content-Type: application/json");
    headers = curl_slist_append(headers, "Authorization: Bearer ph_bench");
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                     "{\"events\":[{\"event_id\":\"1\"}]}");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
    code = curl_easy_perform(easy);
    if (code != CURLE_OK)
        bench_fail("the program with libcurl: %s", curl_easy_strerror(code));
    printf("%" PRIu64 " 0\n", private_dirty_bytes());
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
}

/*
 * The kernel counts pages that are mapped twice, as the ring's are, as shared
 * or as private, depending on its version. So the ring is looked for, and what
 * of it was counted as private is told apart.
 */
static uint64_t ring_private_dirty_bytes(uint64_t ring_bytes)
{
    char line[512];
    uint64_t from, to, size = 0, kib, dirty = 0;
    FILE *file = fopen("/proc/self/smaps", "re");

    while (file && fgets(line, sizeof(line), file)) {
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &from, &to) == 2)
            size = to - from;
        else if (size == ring_bytes &&
                 sscanf(line, "Private_Dirty: %" SCNu64 " kB", &kib) == 1)
            dirty += kib * 1024;
    }
    if (file)
        fclose(file);
    return dirty;
}

static void log_some(const struct sink *sink)
{
    phos_options defaults = phos_options_default();
    phos_client *client = target_open(sink, NULL, NULL);
    struct samples samples;
    uint64_t dirty;

    samples_make(&samples, 256);
    for (uint64_t i = 0; i < EVENT_COUNT; i++) {
        phos_status status =
            phos_client_log(client, &samples.events[i % SAMPLE_COUNT], NULL);

        if (status == PHOS_E_FULL) {
            phos_client_flush(client, PHOS_FLUSH_DELIVERED, 10000);
            i--;
        } else if (status) {
            bench_fail("log: %s", phos_status_text(status));
        }
    }
    phos_client_flush(client, PHOS_FLUSH_DELIVERED, 10000);
    dirty = private_dirty_bytes();
    printf("%" PRIu64 " %" PRIu64 "\n", dirty,
           ring_private_dirty_bytes(defaults.ring_bytes));
    target_close(client, sink, 0, EVENT_COUNT);
    samples_free(&samples);
}

struct measured {
    uint64_t dirty;
    uint64_t ring; /* of it */
};

/* Runs this program again, as `role`, and reads what it prints. */
static struct measured run_as(const char *role)
{
    char *const arguments[] = { (char *)"memory", (char *)"--as", (char *)role,
                                NULL };
    struct measured measured = { 0, 0 };
    posix_spawn_file_actions_t actions;
    int pipes[2], status;
    pid_t pid;
    FILE *output;

    if (pipe2(pipes, O_CLOEXEC))
        bench_fail("pipe: %s", strerror(errno));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
    if (posix_spawn(&pid, "/proc/self/exe", &actions, NULL, arguments, environ))
        bench_fail("cannot start %s", role);
    posix_spawn_file_actions_destroy(&actions);
    close(pipes[1]);
    output = fdopen(pipes[0], "r");
    if (!output || fscanf(output, "%" SCNu64 " %" SCNu64, &measured.dirty,
                          &measured.ring) != 2)
        bench_fail("%s told nothing", role);
    fclose(output);
    if (waitpid(pid, &status, 0) != pid || status != 0)
        bench_fail("%s failed", role);
    if (measured.dirty == 0)
        bench_fail("this kernel does not tell private dirty memory");
    return measured;
}

static const char usage[] =
    "Usage: memory [--json]\n"
    "\n"
    "Prints the private dirty memory of a process that opened a client with\n"
    "default options and delivered 20,000 events, and of one that made a "
    "single\n"
    "request with libcurl.\n";

int main(int argc, char **argv)
{
    bool json;
    struct measured alone, library;
    uint64_t excess;

    if (argc == 3 && strcmp(argv[1], "--as") == 0) {
        struct sink sink;

        sink_start(&sink);
        if (strcmp(argv[2], "curl") == 0)
            curl_alone(sink.port);
        else
            log_some(&sink);
        sink_stop(&sink);
        return 0;
    }
    json = option_flag(argc, argv, "--json");
    options_end(argc, argv, usage);

    alone = run_as("curl");
    library = run_as("libphos");
    excess = library.dirty - library.ring;
    excess = excess > alone.dirty ? excess - alone.dirty : 0;
    if (json) {
        printf("{\n");
        print_machine(true);
        printf("  \"bench\": \"memory\", \"curl_bytes\": %" PRIu64
               ", \"libphos_bytes\": %" PRIu64
               ", \"ring_private_bytes\": %" PRIu64
               ", \"excess_bytes\": %" PRIu64 ", \"verdict\": \"%s\"\n}\n",
               alone.dirty, library.dirty, library.ring, excess,
               excess <= excess_max ? "holds" : "DOES NOT HOLD");
        return 0;
    }
    print_machine(false);
    printf("\nprivate dirty memory\n"
           "one request with libcurl   %6.2f MiB\n"
           "libphos, 20,000 events     %6.2f MiB, of which ring %.2f MiB\n"
           "above both                 %6.2f MiB, batch buffers included\n"
           "at most %" PRIu64 " MiB: %s\n",
           (double)alone.dirty / MIB, (double)library.dirty / MIB,
           (double)library.ring / MIB, (double)excess / MIB, excess_max / MIB,
           excess <= excess_max ? "holds" : "DOES NOT HOLD");
    return 0;
}
