#include "phos/base.h"

const char *phos_status_text(phos_status status)
{
    switch (status) {
#define TEXT_CASE(name, value, text, again) \
    case PHOS_##name:                       \
        return text;
        PHOS_STATUS_LIST(TEXT_CASE)
#undef TEXT_CASE
    }
    return "unknown status";
}

const char *phos_status_name(phos_status status)
{
    switch (status) {
#define NAME_CASE(name, value, text, again) \
    case PHOS_##name:                       \
        return "PHOS_" #name;
        PHOS_STATUS_LIST(NAME_CASE)
#undef NAME_CASE
    }
    return "PHOS_E_?";
}

bool phos_status_retryable(phos_status status)
{
    switch (status) {
#define AGAIN_CASE(name, value, text, again) \
    case PHOS_##name:                        \
        return again;
        PHOS_STATUS_LIST(AGAIN_CASE)
#undef AGAIN_CASE
    }
    return false;
}

const char *phos_version(void)
{
    return PHOS_VERSION_TEXT;
}
