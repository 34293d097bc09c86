#define _GNU_SOURCE

#include "queue/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/seeded.h"

/* ---- the mapping ---- */

static phos_status status_of_errno(void)
{
    return errno == ENOMEM || errno == ENOSPC ? PHOS_E_NO_MEMORY
                                              : PHOS_E_SYSTEM;
}

/* Returns a descriptor of `bytes` of memory that are really there, so that no
 * later store can fail; -1 with errno. */
static int make_memory(size_t bytes)
{
    struct rlimit file_size;
    int fd;

    /* Beyond this limit the kernel would send the host a SIGXFSZ. */
    if (getrlimit(RLIMIT_FSIZE, &file_size) == 0 &&
        file_size.rlim_cur < bytes) {
        errno = EFBIG;
        return -1;
    }
    fd = memfd_create("phos-ring", MFD_CLOEXEC);
    if (fd >= 0 && fallocate(fd, 0, 0, (off_t)bytes) != 0) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/*
 * Maps the header and the records, and behind them the records once more:
 *
 *     header │ records │ records again
 *
 * Returns MAP_FAILED with errno when that fails.
 */
static uint8_t *map_twice(int fd, size_t header_bytes, size_t bytes)
{
    size_t first_bytes = header_bytes + bytes;
    uint8_t *base = mmap(NULL, first_bytes + bytes, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (base == MAP_FAILED)
        return MAP_FAILED;
    if (mmap(base, first_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
             fd, 0) == MAP_FAILED ||
        mmap(base + first_bytes, bytes, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_FIXED, fd, (off_t)header_bytes) == MAP_FAILED ||
        madvise(base, first_bytes + bytes, MADV_DONTFORK) != 0) {
        int error = errno;

        munmap(base, first_bytes + bytes);
        errno = error;
        return MAP_FAILED;
    }
    return base;
}

/* A first touch costs a page fault; here it costs no log call. */
static void touch(uint8_t *memory, size_t bytes, size_t page_bytes)
{
    for (size_t at = 0; at < bytes; at += page_bytes)
        *(volatile uint8_t *)(memory + at) = 0;
}

phos_status phos__ring_open(struct phos__ring *ring, uint64_t bytes,
                            uint64_t secret,
                            const struct phos__siphash_key *id_key, int wake_fd,
                            uint64_t start_position)
{
    /* sizeof(struct phos__ring_shared) is less than any page. */
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t mapped_bytes = page_bytes + 2 * (size_t)bytes;
    struct phos__ring_shared *shared;
    phos_status status;
    uint8_t *base;
    int fd;

    assert(bytes >= PHOS__RING_BYTES_MIN);
    assert(bytes <= PHOS__RING_BYTES_MAX);
    assert((bytes & (bytes - 1)) == 0);
    assert(start_position % 8 == 0);

    fd = make_memory(page_bytes + (size_t)bytes);
    if (fd < 0)
        return status_of_errno();
    base = map_twice(fd, page_bytes, (size_t)bytes);
    status = base == MAP_FAILED ? status_of_errno() : PHOS_OK;
    close(fd); /* the mapping keeps the memory */
    if (status)
        return status;
    touch(base, mapped_bytes, page_bytes);

    shared = (struct phos__ring_shared *)(void *)base;
    shared->magic = PHOS__RING_MAGIC;
    shared->version = PHOS__RING_VERSION;
    shared->byte_order = PHOS__RING_BYTE_ORDER;
    shared->header_bytes = page_bytes;
    shared->bytes = bytes;
    shared->secret = secret;
    shared->id_key = *id_key;
    shared->start_position = start_position;
    atomic_init(&shared->tail, start_position);
    atomic_init(&shared->head_cached, start_position);
    atomic_init(&shared->head, start_position);
    atomic_init(&shared->read, start_position);
    atomic_init(&shared->wake_at, PHOS__RING_NEVER);

    *ring = (struct phos__ring){ .shared = shared,
                                 .data = base + page_bytes,
                                 .bytes = bytes,
                                 .secret = secret,
                                 .wake_fd = wake_fd,
                                 .id_key = *id_key,
                                 .mapped_bytes = mapped_bytes };
    return PHOS_OK;
}

void phos__ring_deinit(struct phos__ring *ring)
{
    if (ring->shared)
        munmap(ring->shared, ring->mapped_bytes);
    *ring = (struct phos__ring){ .wake_fd = -1 };
}

/* ---- producers ---- */

void phos__ring_close(struct phos__ring *ring)
{
    atomic_fetch_or_explicit(&ring->shared->tail, PHOS__RING_CLOSED,
                             memory_order_seq_cst);
}

void phos__ring_wake(struct phos__ring *ring)
{
    uint64_t one = 1;
    int error = errno;

    /* Not write(): that is a point of cancellation, and a thread cancelled
     * here would leave its published record to a sleeping consumer. A full
     * eventfd (EAGAIN) is a wake-up already. */
    syscall(SYS_write, ring->wake_fd, &one, sizeof(one));
    errno = error;
}

void phos__ring_wake_asked(struct phos__ring *ring, uint64_t wake_at)
{
    phos__ring_wake(ring);
    /* The others need not wake it as well. Only now, so that a thread that is
     * stopped in between leaves them the duty; and only if the consumer has
     * not stated another position meanwhile. */
    atomic_compare_exchange_strong_explicit(
        &ring->shared->wake_at, &wake_at, PHOS__RING_NEVER,
        memory_order_relaxed, memory_order_relaxed);
}

static uint64_t tail_of(const struct phos__ring *ring, memory_order order)
{
    return atomic_load_explicit(&ring->shared->tail, order) &
           ~PHOS__RING_CLOSED;
}

uint64_t phos__ring_tail(const struct phos__ring *ring)
{
    return tail_of(ring, memory_order_acquire);
}

uint64_t phos__ring_read_position(const struct phos__ring *ring)
{
    return atomic_load_explicit(&ring->shared->read, memory_order_acquire);
}

uint64_t phos__ring_head(const struct phos__ring *ring)
{
    return atomic_load_explicit(&ring->shared->head, memory_order_acquire);
}

void phos__ring_event_id(const struct phos__ring *ring, uint64_t position,
                         uint8_t ret_id[16])
{
    phos__siphash128_u64(&ring->id_key, position, ret_id);
    /* Version 4, variant 1: RFC 9562, section 5.4. */
    ret_id[6] = (uint8_t)((ret_id[6] & 0x0F) | 0x40);
    ret_id[8] = (uint8_t)((ret_id[8] & 0x3F) | 0x80);
}

/* ---- the consumer ---- */

/* What stands at a position below tail; state 0: reserved, not yet claimed. */
struct found {
    unsigned state;
    uint32_t bytes; /* of the record */
    uint64_t end;   /* position behind it */
};

static struct found look(const struct phos__ring *ring, uint64_t position,
                         uint64_t tail)
{
    /* Pairs with the release in phos__ring_publish(). */
    uint64_t stamp = atomic_load_explicit(phos__ring_stamp_at(ring, position),
                                          memory_order_acquire);
    uint64_t bytes = (stamp & PHOS__RING_LENGTH_MASK) >> 2 << 3;
    uint64_t end = position + PHOS__RING_STAMP_BYTES + bytes;

    if ((stamp & PHOS__RING_KEY_MASK) != phos__ring_key(ring, position) &&
        !PHOS__BUG(WRONG_LAP_ACCEPTED))
        return (struct found){ 0 };
    /* A stray write into the mapping must not lead out of it. */
    if (end - position > tail - position)
        return (struct found){ 0 };
    return (struct found){ .state = (unsigned)(stamp & PHOS__RING_STATE_MASK),
                           .bytes = (uint32_t)bytes,
                           .end = end };
}

void phos__ring_reader_init(struct phos__ring_reader *reader,
                            struct phos__ring *ring)
{
    uint64_t head = phos__ring_head(ring);

    *reader = (struct phos__ring_reader){
        .ring = ring, .read = head, .tail = head, .head = head
    };
}

static void set_item(const struct phos__ring *ring, uint64_t position,
                     uint32_t bytes, struct phos__ring_item *ret_item)
{
    ret_item->position = position;
    ret_item->record = (uint8_t *)(phos__ring_stamp_at(ring, position) + 1);
    ret_item->bytes = bytes;
}

static void pass(struct phos__ring_reader *reader, uint64_t position)
{
    reader->read = position;
    atomic_store_explicit(&reader->ring->shared->read, position,
                          memory_order_release);
}

static void unlist_stalled(struct phos__ring_reader *reader, uint32_t index)
{
    reader->stalled_count--;
    memmove(&reader->stalled[index], &reader->stalled[index + 1],
            (reader->stalled_count - index) * sizeof(reader->stalled[0]));
}

/* The first stalled record that has been finished; stalled_count: none. */
static uint32_t find_finished(const struct phos__ring_reader *reader,
                              struct found *ret_found)
{
    uint32_t i = 0;

    for (; i < reader->stalled_count; i++) {
        *ret_found =
            look(reader->ring, reader->stalled[i].position, reader->read);
        if (ret_found->state == PHOS__RING_PUBLISHED)
            break;
    }
    return i;
}

static bool read_stalled(struct phos__ring_reader *reader,
                         struct phos__ring_item *ret_item)
{
    struct found found;
    uint32_t index = find_finished(reader, &found);

    if (index == reader->stalled_count)
        return false;
    set_item(reader->ring, reader->stalled[index].position, found.bytes,
             ret_item);
    unlist_stalled(reader, index);
    return true;
}

uint64_t phos__ring_read_below(const struct phos__ring_reader *reader)
{
    struct found found;
    uint32_t index = find_finished(reader, &found);

    return index == reader->stalled_count ? reader->read
                                          : reader->stalled[index].position;
}

static void pass_stalled(struct phos__ring_reader *reader, uint64_t end,
                         uint64_t now_ms)
{
    reader->stalled[reader->stalled_count].position = reader->read;
    reader->stalled[reader->stalled_count].since_ms = now_ms;
    reader->stalled_count++;
    pass(reader, end);
}

/* What stands at reader->read; state 0 also when that is tail. */
static struct found look_ahead(struct phos__ring_reader *reader)
{
    if (reader->read == reader->tail)
        reader->tail = tail_of(reader->ring, memory_order_acquire);
    if (reader->read == reader->tail)
        return (struct found){ 0 };
    return look(reader->ring, reader->read, reader->tail);
}

bool phos__ring_read(struct phos__ring_reader *reader, uint64_t now_ms,
                     struct phos__ring_item *ret_item)
{
    struct found found = look_ahead(reader);

    while (found.state == PHOS__RING_CLAIMED &&
           reader->stalled_count < PHOS__RING_STALLED_MAX) {
        pass_stalled(reader, found.end, now_ms);
        found = look_ahead(reader);
    }
    /* After the look ahead: who has published there has published all of its
     * own before, so its events come out in order. */
    if (read_stalled(reader, ret_item))
        return true;
    if (found.state != PHOS__RING_PUBLISHED)
        return false;
    set_item(reader->ring, reader->read, found.bytes, ret_item);
    pass(reader, found.end);
    return true;
}

/* Moves head over what is finished already. */
static void follow_finished(struct phos__ring_reader *reader)
{
    uint64_t before = reader->head;

    while (reader->head != reader->read) {
        struct found found = look(reader->ring, reader->head, reader->read);

        if (found.state != PHOS__RING_FINISHED)
            break;
        reader->head = found.end;
    }
    if (PHOS__BUG(PREFIX_RELEASED_TWICE))
        reader->head += reader->head - before;
}

void phos__ring_finish(struct phos__ring_reader *reader, uint64_t position)
{
    struct phos__ring *ring = reader->ring;
    struct found found = look(ring, position, reader->read);

    /* Only a stray write can have changed the stamp; the space is lost then. */
    if (found.state != PHOS__RING_PUBLISHED)
        return;
    if (position == reader->head || PHOS__BUG(EARLY_RELEASE)) {
        reader->head = found.end;
        follow_finished(reader);
        return;
    }
    /* Relaxed: only the consumer reads it before the space is free. */
    atomic_store_explicit(
        phos__ring_stamp_at(ring, position),
        phos__ring_stamp(ring, position, found.bytes, PHOS__RING_FINISHED),
        memory_order_relaxed);
}

void phos__ring_release(struct phos__ring_reader *reader)
{
    _Atomic uint64_t *head = &reader->ring->shared->head;

    if (atomic_load_explicit(head, memory_order_relaxed) == reader->head)
        return;
    /* Pairs with the acquire in phos__ring_take(): the consumer has done with
     * the bytes before a producer writes over them. */
    atomic_store_explicit(head, reader->head, memory_order_release);
}

uint64_t phos__ring_stalled_age_ms(const struct phos__ring_reader *reader,
                                   uint64_t now_ms)
{
    /* Passed in the order of positions, so the first has waited longest. */
    return reader->stalled_count ? now_ms - reader->stalled[0].since_ms : 0;
}

/* The first position from `from` on, below tail, that has a stamp; or tail. */
static uint64_t next_stamp(const struct phos__ring *ring, uint64_t from,
                           uint64_t tail)
{
    uint64_t position = from;

    while (position != tail && look(ring, position, tail).state == 0)
        position += PHOS__RING_STAMP_BYTES;
    return position;
}

bool phos__ring_give_up_stalled(struct phos__ring_reader *reader,
                                uint64_t *ret_position)
{
    struct phos__ring *ring = reader->ring;
    uint64_t position = reader->read;

    if (reader->stalled_count) {
        *ret_position = reader->stalled[0].position;
        unlist_stalled(reader, 0);
        return true;
    }
    reader->tail = tail_of(ring, memory_order_acquire);
    if (position == reader->tail ||
        look(ring, position, reader->tail).state != 0)
        return false;
    pass(reader, next_stamp(ring, position, reader->tail));
    *ret_position = position;
    return true;
}

void phos__ring_awake(struct phos__ring_reader *reader)
{
    _Atomic uint64_t *wake_at = &reader->ring->shared->wake_at;

    /* Relaxed: who still sees the old value wakes once too often. */
    if (atomic_load_explicit(wake_at, memory_order_relaxed) != PHOS__RING_NEVER)
        atomic_store_explicit(wake_at, PHOS__RING_NEVER, memory_order_relaxed);
}

void phos__ring_nap(struct phos__ring_reader *reader, uint64_t position)
{
    /* Relaxed: the nap's timer makes good for who misses it. */
    atomic_store_explicit(&reader->ring->shared->wake_at, position,
                          memory_order_relaxed);
}

bool phos__ring_sleep(struct phos__ring_reader *reader)
{
    struct phos__ring_shared *shared = reader->ring->shared;
    uint64_t wake_at = reader->read;

    if (reader->stalled_count)
        return false;
    if (PHOS__BUG(LOST_WAKE_UP))
        wake_at += 4096;
    /* Both sequentially consistent, as are the exchange of tail and the look
     * at wake_at of a producer: one of the two sees the other. */
    atomic_store_explicit(&shared->wake_at, wake_at, memory_order_seq_cst);
    if (tail_of(reader->ring, memory_order_seq_cst) == reader->read)
        return true;
    phos__ring_awake(reader);
    return false;
}

uint64_t phos__ring_count_from(const struct phos__ring *ring, uint64_t read,
                               phos__ring_kind_fn *is_of_kind,
                               uint64_t *ret_of_kind)
{
    uint64_t tail = tail_of(ring, memory_order_acquire);
    uint64_t position = next_stamp(ring, read, tail);
    uint64_t count = 0;

    *ret_of_kind = 0;
    while (position != tail) {
        struct found found = look(ring, position, tail);

        if (found.state == PHOS__RING_PUBLISHED &&
            is_of_kind((uint8_t *)(phos__ring_stamp_at(ring, position) + 1),
                       found.bytes))
            ++*ret_of_kind;
        else
            count++;
        position = next_stamp(ring, found.end, tail);
    }
    return count;
}
