#include "findings.h"

#include <stdarg.h>
#include <string.h>

#include "command.h"
#include "repair.h"
#include "text.h"

enum { TEXT_BYTES_MAX = 1024, NAME_COLUMNS = 12 };

static const char *const words[] = { [FINDING_OK] = "ok",
                                     [FINDING_SKIP] = "skip",
                                     [FINDING_WARN] = "warn",
                                     [FINDING_FAIL] = "fail" };

void findings_init(struct findings *findings, FILE *out, bool as_json)
{
    memset(findings, 0, sizeof(*findings));
    findings->out = out;
    findings->as_json = as_json;
    findings->list = json_array();
}

void findings_deinit(struct findings *findings)
{
    json_decref(findings->list);
    findings->list = NULL;
}

/* As JSON text, whatever bytes it holds; NULL becomes null. */
static json_t *json_of(const char *text)
{
    struct repair repair = { NULL, 0 };
    json_t *json = NULL;
    const char *whole;
    size_t length;

    if (text == NULL)
        return json_null();
    if (repair_text(&repair, text, strlen(text), &whole, &length))
        json = json_stringn(whole, length);
    repair_deinit(&repair);
    return json;
}

static void print(FILE *out, const char *word, const char *name,
                  const char *text, const char *advice)
{
    const int indent = 6 + NAME_COLUMNS;

    fprintf(out, "%-6s%-*s", word, NAME_COLUMNS, name);
    text_line(out, text, strlen(text), SIZE_MAX);
    if (advice != NULL) {
        fprintf(out, "\n%*s-> ", indent, "");
        text_line(out, advice, strlen(advice), SIZE_MAX);
    }
    fputc('\n', out);
    fflush(out);
}

void findings_add(struct findings *findings, enum finding_status status,
                  const char *name, const char *advice, const char *format, ...)
{
    char text[TEXT_BYTES_MAX];
    va_list arguments;
    json_t *entry;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);

    findings->warnings += status == FINDING_WARN;
    findings->failures += status == FINDING_FAIL;
    if (!findings->as_json) {
        print(findings->out, words[status], name, text, advice);
        return;
    }
    entry = json_object();
    json_object_set_new(entry, "name", json_string(name));
    json_object_set_new(entry, "status", json_string(words[status]));
    json_object_set_new(entry, "text", json_of(text));
    json_object_set_new(entry, "advice", json_of(advice));
    json_array_append_new(findings->list, entry);
}

static int code_of(const struct findings *findings)
{
    if (findings->is_incomplete)
        return EXIT_CONFIG;
    return findings->failures > 0 ? EXIT_SOME : EXIT_OK;
}

static void print_end(const struct findings *findings)
{
    FILE *out = findings->out;

    if (findings->failures == 0 && findings->warnings == 0) {
        fputs("\nall is well\n", out);
        return;
    }
    fprintf(out, "\n%zu failed, %zu warning%s\n", findings->failures,
            findings->warnings, findings->warnings == 1 ? "" : "s");
}

int findings_end(struct findings *findings)
{
    int code = code_of(findings);
    const char *result = findings->failures > 0   ? "fail"
                         : findings->warnings > 0 ? "warn"
                                                  : "ok";
    json_t *whole;

    if (!findings->as_json) {
        print_end(findings);
        return code;
    }
    whole = json_object();
    json_object_set_new(whole, "result", json_string(result));
    json_object_set_new(whole, "exit_code", json_integer(code));
    json_object_set(whole, "checks", findings->list);
    json_dumpf(whole, findings->out, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    fputc('\n', findings->out);
    json_decref(whole);
    return code;
}
