/*
 * call_handle - what the holder of a call may do with it, on any thread: end it
 * early, wait for it, let it go.
 */
#include "client/service_state.h"

/* Sets one of the call's words and has the worker look at it. Under the call's
 * lock: until it is done, its service is there. */
static void set(struct phos_call *call, bool *word)
{
    phos_service *service;

    if (phos__call_is_foreign(call))
        return;
    pthread_mutex_lock(&call->lock);
    service = call->is_done ? NULL : call->service;
    if (service) {
        pthread_mutex_lock(&service->lock);
        *word = true;
        phos__worker_wake(service->carrier.worker);
        pthread_mutex_unlock(&service->lock);
    }
    pthread_mutex_unlock(&call->lock);
}

void phos_call_cancel(phos_call *call)
{
    if (call)
        set(call, &call->is_cancelled);
}

void phos__call_resume(phos_call *call)
{
    set(call, &call->wants_resume);
}

bool phos__call_would_deadlock(const phos_call *call)
{
    return !call->is_done &&
           phos__worker_is_here(call->service->carrier.worker);
}

/* Under the lock; false: the time has passed first. */
static bool wait_for_end(struct phos_call *call, uint32_t timeout_ms)
{
    struct timespec deadline = phos__call_deadline(timeout_ms);

    while (!call->is_done)
        if (pthread_cond_timedwait(&call->changed, &call->lock, &deadline))
            break;
    return call->is_done;
}

phos_status phos_call_wait(phos_call *call, uint32_t timeout_ms,
                           const phos_result **ret_result)
{
    phos_status status = PHOS_OK;

    if (!call)
        return PHOS_E_INVALID;
    if (phos__call_is_foreign(call))
        return PHOS_E_FORKED;
    pthread_mutex_lock(&call->lock);
    if (phos__call_would_deadlock(call))
        status = PHOS_E_WOULD_DEADLOCK;
    else if (!wait_for_end(call, timeout_ms))
        status = PHOS_E_TIMEOUT;
    else if (ret_result)
        *ret_result = &call->result;
    pthread_mutex_unlock(&call->lock);
    return status;
}

void phos_call_free(phos_call *call)
{
    if (call && !phos__call_is_foreign(call))
        phos__call_unref(call);
}
