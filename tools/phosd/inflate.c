#include "inflate.h"

#ifdef PHOSD_HAVE_ZLIB

#include <zlib.h>

enum { STEP_BYTES = 64 << 10, GZIP_WINDOW = 15 + 16 };

bool phosd_inflate_offered(void)
{
    return true;
}

/* A bomb stops at the first step past the limit: memory in use never exceeds
 * it by more than one step. */
static enum phosd_inflated steps(z_stream *stream, size_t bytes_max,
                                 struct phos__buffer *buffer)
{
    int code = Z_OK;

    while (code != Z_STREAM_END) {
        if (buffer->bytes > bytes_max)
            return PHOSD_INFLATE_TOO_LARGE;
        if (!phos__buffer_reserve(buffer, STEP_BYTES))
            return PHOSD_INFLATE_NO_MEMORY;
        stream->next_out = buffer->data + buffer->bytes;
        stream->avail_out = STEP_BYTES;
        code = inflate(stream, Z_NO_FLUSH);
        if (code == Z_MEM_ERROR)
            return PHOSD_INFLATE_NO_MEMORY;
        if (code != Z_OK && code != Z_STREAM_END)
            return PHOSD_INFLATE_BROKEN;
        buffer->bytes += STEP_BYTES - stream->avail_out;
    }
    if (buffer->bytes > bytes_max)
        return PHOSD_INFLATE_TOO_LARGE;
    return stream->avail_in == 0 ? PHOSD_INFLATED : PHOSD_INFLATE_BROKEN;
}

enum phosd_inflated phosd_inflate(phos_str body, size_t bytes_max,
                                  struct phos__buffer *buffer)
{
    enum phosd_inflated result;
    z_stream stream;

    memset(&stream, 0, sizeof(stream));
    stream.next_in = (z_const Bytef *)(uintptr_t)body.data;
    stream.avail_in = (uInt)body.length; /* below the body limit, so it fits */
    if (inflateInit2(&stream, GZIP_WINDOW) != Z_OK)
        return PHOSD_INFLATE_NO_MEMORY;
    result = steps(&stream, bytes_max, buffer);
    inflateEnd(&stream);
    return result;
}

#else

bool phosd_inflate_offered(void)
{
    return false;
}

enum phosd_inflated phosd_inflate(phos_str body, size_t bytes_max,
                                  struct phos__buffer *buffer)
{
    (void)body;
    (void)bytes_max;
    (void)buffer;
    return PHOSD_INFLATE_BROKEN;
}

#endif
