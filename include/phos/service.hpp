/*
 * phos/service.hpp - owners of a service and of its calls, and results that
 * come to a function.
 */
#ifndef PHOS_SERVICE_HPP
#define PHOS_SERVICE_HPP

#include <atomic>
#include <functional>
#include <memory>
#include <new>
#include <utility>

#include "phos/base.hpp"
#include "phos/service.h"

namespace phos
{

/** The owner of one request that can be waited for, or of none. */
class call
{
  public:
    call() noexcept : call_(nullptr)
    {
    }
    explicit call(phos_call *taken) noexcept : call_(taken)
    {
    }
    call(call &&other) noexcept : call_(other.call_)
    {
        other.call_ = nullptr;
    }
    call &operator=(call &&other) noexcept
    {
        call moved(std::move(other));

        std::swap(call_, moved.call_);
        return *this;
    }
    /** A call that is under way goes on. */
    ~call()
    {
        phos_call_free(call_);
    }

    /** ret_result lives as long as this object owns the call. */
    phos_status wait(std::chrono::milliseconds timeout,
                     const phos_result *&ret_result) noexcept
    {
        return phos_call_wait(call_, detail::to_ms(timeout), &ret_result);
    }
    void cancel() noexcept
    {
        phos_call_cancel(call_);
    }

    explicit operator bool() const noexcept
    {
        return call_ != nullptr;
    }
    phos_call *get() const noexcept
    {
        return call_;
    }

  private:
    phos_call *call_;
};

namespace detail
{

/* A function on its way through C; its result comes once and ends it. */
struct taker {
    std::function<void(const phos_result &)> function;
    std::shared_ptr<std::atomic<std::uint64_t>> exceptions;
};

inline void on_done(const phos_result *result, void *user_data)
{
    const std::unique_ptr<taker> owner(static_cast<taker *>(user_data));

#ifdef PHOS_HPP_EXCEPTIONS
    try {
        owner->function(*result);
    } catch (...) { /* C frames are below */
        ++*owner->exceptions;
    }
#else
    owner->function(*result);
#endif
}

} // namespace detail

/**
 * The owner of a service, or of none: then every call answers PHOS_E_CLOSED.
 * Its options are the C struct, for all of them are copied at open. The
 * functions of phos/service.h for single operations take get().
 */
class service
{
  public:
    service() noexcept : service_(nullptr)
    {
    }
    PHOS_HPP_NODISCARD static phos_status open(const phos_service_options &from,
                                               service &ret_service) noexcept
    {
        service made;
        const phos_status status = made.start(from);

        if (status == PHOS_OK)
            ret_service = std::move(made);
        return status;
    }
#ifdef PHOS_HPP_EXCEPTIONS
    explicit service(const phos_service_options &from) : service()
    {
        const phos_status status = start(from);

        if (status != PHOS_OK)
            throw error(status, "phos_service_open");
    }
#endif
    service(service &&other) noexcept
        : service_(other.service_), exceptions_(std::move(other.exceptions_))
    {
        other.service_ = nullptr;
    }
    service &operator=(service &&other) noexcept
    {
        service moved(std::move(other));

        std::swap(service_, moved.service_);
        exceptions_.swap(moved.exceptions_);
        return *this;
    }
    ~service()
    {
        phos_service_free(service_);
    }

    phos_status set_credential(const text &credential) noexcept
    {
        return phos_service_set_credential(service_, credential);
    }
    /** Starts a request that can be waited for. No body: text(). */
    phos_status request(
        const text &method, const text &path, const text &body, call &ret_call,
        const phos_call_options &with = phos_call_options_default()) noexcept
    {
        phos_call *started = nullptr;
        const phos_status status =
            phos_service_call(service_, method, path, body, &with, &started);

        if (status == PHOS_OK)
            ret_call = call(started);
        return status;
    }
    /**
     * Starts a request whose result comes to a function, once, on the worker's
     * thread, and replaces on_done and user_data of `with`. What the function
     * throws is counted; after a failure here it is never called.
     */
    phos_status
    request(const text &method, const text &path, const text &body,
            std::function<void(const phos_result &)> function,
            phos_call_options with = phos_call_options_default()) noexcept
    {
        std::unique_ptr<detail::taker> taker(new (std::nothrow) detail::taker);

        if (!function)
            return PHOS_E_INVALID;
        if (!taker)
            return PHOS_E_NO_MEMORY;
        taker->function = std::move(function);
        taker->exceptions = exceptions_;
        with.on_done = detail::on_done;
        with.user_data = taker.get();

        const phos_status status =
            phos_service_call(service_, method, path, body, &with, nullptr);
        if (status == PHOS_OK)
            taker.release(); /* on_done takes it, or has already */
        return status;
    }
    /** Exceptions that functions have let out since open. */
    std::uint64_t callback_exceptions() const noexcept
    {
        return exceptions_ ? exceptions_->load() : 0;
    }

    explicit operator bool() const noexcept
    {
        return service_ != nullptr;
    }
    phos_service *get() const noexcept
    {
        return service_;
    }

  private:
    phos_status start(const phos_service_options &from) noexcept
    {
#ifdef PHOS_HPP_EXCEPTIONS
        try {
            exceptions_ = std::make_shared<std::atomic<std::uint64_t>>(0);
        } catch (const std::bad_alloc &) {
            return PHOS_E_NO_MEMORY;
        }
#else
        exceptions_ = std::make_shared<std::atomic<std::uint64_t>>(0);
#endif
        return phos_service_open(&from, &service_);
    }

    phos_service *service_;
    std::shared_ptr<std::atomic<std::uint64_t>> exceptions_;
};

} // namespace phos

#endif
