#include "follow.h"

#include <stdio.h>
#include <string.h>

#include "instant.h"

void follow_init(struct follow *follow)
{
    memset(follow, 0, sizeof(*follow));
    follow->seen = json_object();
}

void follow_deinit(struct follow *follow)
{
    json_decref(follow->seen);
    follow->seen = NULL;
}

/* The start of the window; false: it has none. */
static bool window(const struct follow *follow, int64_t now_us,
                   int64_t *ret_from_us)
{
    const int64_t late_us = (int64_t)FOLLOW_LATE_S * 1000000;
    int64_t newest_us = follow->newest_us;
    int64_t from_us;

    if (!follow->has_newest)
        return false;
    if (newest_us > now_us)
        newest_us = now_us;
    from_us = newest_us > late_us ? newest_us - late_us : 0;
    if (follow->has_floor && follow->floor_us > from_us)
        from_us = follow->floor_us;
    *ret_from_us = from_us;
    return true;
}

bool follow_begin(struct follow *follow, int64_t now_us,
                  char from[FOLLOW_TIME_BYTES])
{
    char seconds[INSTANT_TEXT_BYTES];
    int64_t from_us;
    const char *id;
    json_t *time;
    void *next;

    if (!window(follow, now_us, &from_us))
        return false;
    json_object_foreach_safe(follow->seen, next, id, time)
    {
        if (json_integer_value(time) < from_us)
            json_object_del(follow->seen, id);
    }
    /* "2025-01-31 09:30:00" and the fraction that it leaves out. */
    instant_write(from_us, seconds);
    seconds[10] = 'T';
    snprintf(from, FOLLOW_TIME_BYTES, "%.19s.%06dZ", seconds,
             (int)(from_us % 1000000));
    return true;
}

bool follow_take(struct follow *follow, const char *id, int64_t time_us)
{
    if ((follow->has_floor && time_us < follow->floor_us) ||
        json_object_get(follow->seen, id) != NULL)
        return false;
    json_object_set_new(follow->seen, id, json_integer(time_us));
    if (!follow->has_newest || time_us > follow->newest_us)
        follow->newest_us = time_us;
    follow->has_newest = true;
    return true;
}

void follow_set_floor(struct follow *follow, int64_t time_us)
{
    follow->floor_us = time_us;
    follow->has_floor = true;
}

size_t follow_known(const struct follow *follow)
{
    return json_object_size(follow->seen);
}
