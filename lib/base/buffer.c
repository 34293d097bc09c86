#include "base/buffer.h"

#include "base/alloc.h"

enum { FIRST_CAPACITY = 256 };

void phos__buffer_init(struct phos__buffer *buffer,
                       const phos_allocator *allocator)
{
    memset(buffer, 0, sizeof(*buffer));
    buffer->allocator = *allocator;
}

void phos__buffer_deinit(struct phos__buffer *buffer)
{
    if (buffer->data)
        phos__free(&buffer->allocator, buffer->data);
    memset(buffer, 0, sizeof(*buffer));
}

bool phos__buffer_reserve(struct phos__buffer *buffer, size_t more)
{
    size_t capacity = buffer->capacity ? buffer->capacity : FIRST_CAPACITY;
    size_t need;
    uint8_t *data;

    if (buffer->capacity - buffer->bytes >= more)
        return true;
    if (__builtin_add_overflow(buffer->bytes, more, &need) ||
        need > SIZE_MAX / 2) {
        buffer->failed = true;
        return false;
    }
    while (capacity < need)
        capacity *= 2;
    data = phos__realloc(&buffer->allocator, buffer->data, capacity);
    if (!data) {
        buffer->failed = true;
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

void phos__buffer_append(struct phos__buffer *buffer, const void *data,
                         size_t bytes)
{
    if (bytes == 0 || !phos__buffer_reserve(buffer, bytes))
        return;
    memcpy(buffer->data + buffer->bytes, data, bytes);
    buffer->bytes += bytes;
}

void phos__buffer_append_str(struct phos__buffer *buffer, phos_str text)
{
    phos__buffer_append(buffer, text.data, text.length);
}
