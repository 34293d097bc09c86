/*
 * phos/worker.hpp - the one background thread, which several clients can share.
 */
#ifndef PHOS_WORKER_HPP
#define PHOS_WORKER_HPP

#include <utility>

#include "phos/base.hpp"
#include "phos/worker.h"

namespace phos
{

/** The owner of a thread that clients can share, or of none. */
class worker
{
  public:
    worker() noexcept : worker_(nullptr)
    {
    }
    PHOS_HPP_NODISCARD static phos_status
    open(const phos_worker_options &options, worker &ret_worker) noexcept
    {
        worker made;
        const phos_status status = phos_worker_open(&options, &made.worker_);

        if (status == PHOS_OK)
            ret_worker = std::move(made);
        return status;
    }
#ifdef PHOS_HPP_EXCEPTIONS
    explicit worker(const phos_worker_options &options) : worker_(nullptr)
    {
        const phos_status status = phos_worker_open(&options, &worker_);

        if (status != PHOS_OK)
            throw error(status, "phos_worker_open");
    }
#endif
    worker(worker &&other) noexcept : worker_(other.worker_)
    {
        other.worker_ = nullptr;
    }
    worker &operator=(worker &&other) noexcept
    {
        worker moved(std::move(other));

        std::swap(worker_, moved.worker_);
        return *this;
    }
    ~worker()
    {
        phos_worker_free(worker_);
    }

    explicit operator bool() const noexcept
    {
        return worker_ != nullptr;
    }
    phos_worker *get() const noexcept
    {
        return worker_;
    }

  private:
    phos_worker *worker_;
};

} // namespace phos

#endif
