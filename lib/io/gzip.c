#include "io/gzip.h"

#include "base/alloc.h"

#if PHOS__HAVE_ZLIB

#include <limits.h>
#include <zlib.h>

struct phos__gzip {
    phos_allocator allocator;
    z_stream stream;
};

static voidpf allocate(voidpf opaque, uInt count, uInt bytes)
{
    return phos__alloc_zeroed(opaque, count, bytes);
}

static void release(voidpf opaque, voidpf memory)
{
    phos__free(opaque, memory);
}

bool phos__gzip_is_built(void)
{
    return true;
}

phos_status phos__gzip_create(const phos_allocator *allocator, uint32_t level,
                              struct phos__gzip **ret_gzip)
{
    struct phos__gzip *gzip = phos__alloc_zeroed(allocator, 1, sizeof(*gzip));
    /* 16 on top of the window's size asks for a gzip frame. */
    const int window_bits = MAX_WBITS + 16, memory_level = 8;

    if (!gzip)
        return PHOS_E_NO_MEMORY;
    gzip->allocator = *allocator;
    gzip->stream.zalloc = allocate;
    gzip->stream.zfree = release;
    gzip->stream.opaque = &gzip->allocator;
    if (deflateInit2(&gzip->stream, (int)level, Z_DEFLATED, window_bits,
                     memory_level, Z_DEFAULT_STRATEGY) != Z_OK) {
        phos__free(allocator, gzip);
        return PHOS_E_NO_MEMORY;
    }
    *ret_gzip = gzip;
    return PHOS_OK;
}

void phos__gzip_destroy(struct phos__gzip *gzip)
{
    phos_allocator allocator;

    if (!gzip)
        return;
    allocator = gzip->allocator;
    deflateEnd(&gzip->stream);
    phos__free(&allocator, gzip);
}

bool phos__gzip_pack(struct phos__gzip *gzip, phos_str body,
                     struct phos__buffer *packed)
{
    z_stream *stream = &gzip->stream;

    if (body.length > UINT_MAX)
        return false;
    /* Room for one byte less than the body: what does not fit there is not
     * worth unpacking. */
    phos__buffer_clear(packed);
    if (body.length < 2 || !phos__buffer_reserve(packed, body.length - 1))
        return false;
    if (deflateReset(stream) != Z_OK)
        return false;
    /* zlib only reads from it; its header lacks the const. */
    stream->next_in = (Bytef *)(uintptr_t)body.data;
    stream->avail_in = (uInt)body.length;
    stream->next_out = packed->data;
    stream->avail_out = (uInt)(body.length - 1);
    if (deflate(stream, Z_FINISH) != Z_STREAM_END)
        return false;
    packed->bytes = body.length - 1 - stream->avail_out;
    return true;
}

#else

bool phos__gzip_is_built(void)
{
    return false;
}

phos_status phos__gzip_create(const phos_allocator *allocator, uint32_t level,
                              struct phos__gzip **ret_gzip)
{
    (void)allocator;
    (void)level;
    (void)ret_gzip;
    return PHOS_E_UNSUPPORTED;
}

void phos__gzip_destroy(struct phos__gzip *gzip)
{
    (void)gzip;
}

bool phos__gzip_pack(struct phos__gzip *gzip, phos_str body,
                     struct phos__buffer *packed)
{
    (void)gzip;
    (void)body;
    (void)packed;
    return false;
}

#endif
