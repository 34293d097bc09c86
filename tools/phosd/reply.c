#include "reply.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "wire/json.h"

enum { ERROR_BYTES = 512 };

void phosd_buffer_init(struct phos__buffer *buffer)
{
    const phos_allocator none = { 0 };
    bool valid;
    const phos_allocator libc = phos__allocator_resolve(&none, &valid);

    phos__buffer_init(buffer, &libc);
}

void phosd_reply_error(struct phosd_reply *reply, unsigned status,
                       const char *format, ...)
{
    char text[ERROR_BYTES];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);

    reply->status = status;
    reply->content_type = NULL;
    reply->page = false;
    phos__buffer_clear(&reply->body);
    phos__buffer_append_str(&reply->body, PHOS_STR("{\"error\":"));
    phos__json_text(&reply->body, phos_str_make(text, strlen(text)));
    phos__buffer_append_str(&reply->body, PHOS_STR("}\n"));
}

void phosd_reply_busy(struct phosd_reply *reply, const char *text)
{
    phosd_reply_error(reply, 503, "%s", text);
    reply->retry_after_s = 1;
}
