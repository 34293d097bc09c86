/*
 * What the tests of event JSON share: a record and the JSON made of it.
 */
#ifndef PHOS_TEST_WIRE_JSON_WORLD_H
#define PHOS_TEST_WIRE_JSON_WORLD_H

#include "support.h"

#include "wire/batch.h"
#include "wire/json.h"
#include "wire/json_scan.h"

/* Builds records and their JSON; one for each test. */
struct world {
    struct phos__buffer json;
    uint64_t record[1 << 13]; /* 64 KiB */
    struct phos__record_view view;
};

static const uint8_t id_bytes[16] = { 0x6f, 0x1f, 0x2b, 0x9e, 0x2f, 0x7a,
                                      0x4f, 0x0e, 0x9a, 0x51, 0x0b, 0x7f,
                                      0x3f, 0x6f, 0x5a, 0x10 };

/* 2025-01-31T09:30:00.123456Z */
#define LOGGED_US UINT64_C(1738315800123456)

static inline int set_up(void **state)
{
    struct world *world = test_calloc(1, sizeof(*world));

    buffer_init_libc(&world->json);
    *state = world;
    return 0;
}

static inline int tear_down(void **state)
{
    struct world *world = *state;

    phos__buffer_deinit(&world->json);
    test_free(world);
    return 0;
}

static inline void make_record(struct world *world, const phos_event *event)
{
    struct phos__record_plan plan;

    assert_int_equal(phos__record_plan(event, sizeof(world->record), &plan),
                     PHOS_OK);
    phos__record_write(event, &plan, LOGGED_US, (uint8_t *)world->record);
    assert_true(phos__record_read((const uint8_t *)world->record, plan.bytes,
                                  &world->view));
}

static inline phos_event minimal(void)
{
    phos_event event = phos_event_default();

    event.input = PHOS_STR("i");
    event.output = PHOS_STR("o");
    return event;
}

#endif
