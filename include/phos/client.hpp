/*
 * phos/client.hpp - options and clients.
 */
#ifndef PHOS_CLIENT_HPP
#define PHOS_CLIENT_HPP

#include <new>

#include "phos/callbacks.hpp"
#include "phos/client.h"
#include "phos/event.hpp"
#include "phos/worker.hpp"

namespace phos
{

/**
 * Settings of a client: texts are copied, callbacks are std::function, and `->`
 * leads to the fields of the C struct. Functions and C callbacks cannot be
 * mixed, for there is one user_data: then open answers PHOS_E_INVALID.
 *
 * Callbacks run on the worker's thread. What they throw is caught, counted and
 * told to on_diagnostic. A callback that is running when its client's
 * destructor has waited 0.2 s for it runs on, so what it uses must live longer.
 */
class options
{
  public:
    options() noexcept
        : options_(phos_options_default()),
          close_timeout_(std::chrono::seconds(5))
    {
    }

    options &endpoint(const text &url)
    {
        endpoint_ = url.to_string();
        return *this;
    }
    options &api_key(const text &key)
    {
        api_key_ = key.to_string();
        return *this;
    }
    options &project_id(const text &id)
    {
        project_id_ = id.to_string();
        return *this;
    }
    options &proxy(const text &url)
    {
        proxy_ = url.to_string();
        return *this;
    }
    options &ca_file(const text &path)
    {
        ca_file_ = path.to_string();
        return *this;
    }
    options &unix_socket_path(const text &path)
    {
        unix_socket_path_ = path.to_string();
        return *this;
    }
    options &user_agent(const text &name)
    {
        user_agent_ = name.to_string();
        return *this;
    }
    /** Masks an event, or drops it by answering false or by throwing. Texts
     * that it sets stay until it is called again, so they are none of its own.
     */
    options &before_send(std::function<bool(phos_event &)> function)
    {
        functions_.before_send = std::move(function);
        return *this;
    }
    options &on_receipts(std::function<void(const receipts &)> function)
    {
        functions_.on_receipts = std::move(function);
        return *this;
    }
    /** The event as the JSON that was sent; the receipt follows. */
    options &
    on_refused(std::function<void(const phos_receipt &, text)> function)
    {
        functions_.on_refused = std::move(function);
        return *this;
    }
    options &
    on_diagnostic(std::function<void(const phos_diagnostic &)> function)
    {
        functions_.on_diagnostic = std::move(function);
        return *this;
    }
    /** The bytes of the ring in use, and all of them. */
    options &
    on_high_water(std::function<void(std::uint64_t, std::uint64_t)> function)
    {
        functions_.on_high_water = std::move(function);
        return *this;
    }
    /** Takes the CURL * of each request. */
    options &on_easy(std::function<void(void *)> function)
    {
        functions_.on_easy = std::move(function);
        return *this;
    }
    /** Shared; the worker object may go before the client. */
    options &worker(const phos::worker &shared) noexcept
    {
        options_.worker = shared.get();
        return *this;
    }
    /** How long the destructor of an open client closes; default 5 s. */
    options &close_timeout(std::chrono::milliseconds time) noexcept
    {
        close_timeout_ = time;
        return *this;
    }

    phos_options *operator->() noexcept
    {
        return &options_;
    }
    const phos_options *operator->() const noexcept
    {
        return &options_;
    }

  private:
    friend class client;

    /* Any field of a C callback is in use. */
    bool has_c_callbacks() const noexcept
    {
        return options_.before_send || options_.on_receipts ||
               options_.on_refused || options_.on_diagnostic ||
               options_.on_high_water || options_.on_easy || options_.user_data;
    }

    /* The C struct, with what is kept here; borrowed from this object. */
    phos_options whole(void *number) const noexcept
    {
        phos_options all = options_;
        const auto fill = [](phos_str &to, const std::string &from) {
            if (!from.empty())
                to = phos_str_make(from.data(), from.size());
        };

        fill(all.endpoint, endpoint_);
        fill(all.api_key, api_key_);
        fill(all.project_id, project_id_);
        fill(all.proxy, proxy_);
        fill(all.ca_file, ca_file_);
        fill(all.unix_socket_path, unix_socket_path_);
        fill(all.user_agent, user_agent_);
        if (!number)
            return all;
        all.user_data = number;
        all.before_send =
            functions_.before_send ? detail::before_send : nullptr;
        all.on_receipts =
            functions_.on_receipts ? detail::on_receipts : nullptr;
        all.on_refused = functions_.on_refused ? detail::on_refused : nullptr;
        all.on_diagnostic =
            functions_.on_diagnostic ? detail::on_diagnostic : nullptr;
        all.on_high_water =
            functions_.on_high_water ? detail::on_high_water : nullptr;
        all.on_easy = functions_.on_easy ? detail::on_easy : nullptr;
        return all;
    }

    phos_options options_;
    std::string endpoint_, api_key_, project_id_, proxy_, ca_file_;
    std::string unix_socket_path_, user_agent_;
    detail::functions functions_;
    std::chrono::milliseconds close_timeout_;
};

/**
 * The owner of an open client, or of none: then every call answers
 * PHOS_E_CLOSED. Its destructor closes with options::close_timeout() and frees;
 * call close() to hear what became of the events.
 *
 * Threads  as the C calls; moving, assigning and destroying: owner.
 */
class client
{
  public:
    client() noexcept : client_(nullptr), number_(nullptr), close_timeout_ms_(0)
    {
    }
    /** Opens. ret_client is left alone by a failure; what it held before is
     * closed by success. Statuses of phos_client_open(). */
    PHOS_HPP_NODISCARD static phos_status open(const options &from,
                                               client &ret_client) noexcept
    {
        client made;
        const phos_status status = made.start(from);

        if (status == PHOS_OK)
            ret_client = std::move(made);
        return status;
    }
#ifdef PHOS_HPP_EXCEPTIONS
    explicit client(const options &from) : client()
    {
        const phos_status status = start(from);

        if (status != PHOS_OK)
            throw error(status, "phos_client_open");
    }
#endif
    client(client &&other) noexcept : client()
    {
        swap(other);
    }
    client &operator=(client &&other) noexcept
    {
        client moved(std::move(other));

        swap(moved);
        return *this;
    }
    ~client()
    {
        if (client_)
            phos_client_close(client_, close_timeout_ms_, nullptr);
        phos_client_free(client_);
        if (number_)
            detail::registry::instance().remove(number_);
    }

    phos_status log(const event &what, event_id *ret_id = nullptr) noexcept
    {
        const phos_event whole = what.get();

        return log(whole, ret_id);
    }
    phos_status log(const phos_event &what, event_id *ret_id = nullptr) noexcept
    {
        return phos_client_log(client_, &what,
                               ret_id ? ret_id->get() : nullptr);
    }
    /** Without a comment none is sent; without a source it is "user". */
    phos_status feedback(const event_id &id, phos_flag flag,
                         const text &comment = text(),
                         const text &source = text()) noexcept
    {
        return phos_client_feedback(client_, id.get(), flag, comment, source);
    }
    phos_status flush(std::chrono::milliseconds timeout,
                      phos_flush_mode mode = PHOS_FLUSH_DELIVERED) noexcept
    {
        return phos_client_flush(client_, mode, detail::to_ms(timeout));
    }
    phos_status close(std::chrono::milliseconds timeout,
                      phos_close_report *ret_report = nullptr) noexcept
    {
        return phos_client_close(client_, detail::to_ms(timeout), ret_report);
    }
    void begin_shutdown() noexcept
    {
        phos_client_begin_shutdown(client_);
    }
    phos_status set_api_key(const text &key) noexcept
    {
        return phos_client_set_api_key(client_, key);
    }
    /** struct_size is set here. */
    phos_status stats(phos_stats &ret_stats) const noexcept
    {
        ret_stats.struct_size = sizeof(ret_stats);
        return phos_client_stats(client_, &ret_stats);
    }
#ifdef PHOS_HPP_EXCEPTIONS
    phos_stats stats() const
    {
        phos_stats taken;
        const phos_status status = stats(taken);

        if (status != PHOS_OK)
            throw error(status, "phos_client_stats");
        return taken;
    }
#endif
    /** Exceptions that callbacks have let out since open. */
    std::uint64_t callback_exceptions() const noexcept
    {
        return listener_ ? listener_->exceptions.load() : 0;
    }

    explicit operator bool() const noexcept
    {
        return client_ != nullptr;
    }
    phos_client *get() const noexcept
    {
        return client_;
    }
    void swap(client &other) noexcept
    {
        std::swap(client_, other.client_);
        std::swap(number_, other.number_);
        listener_.swap(other.listener_);
        std::swap(close_timeout_ms_, other.close_timeout_ms_);
    }

  private:
    phos_status start(const options &from) noexcept
    {
        if (from.functions_.any() && from.has_c_callbacks())
            return PHOS_E_INVALID;
#ifdef PHOS_HPP_EXCEPTIONS
        try {
            listen(from);
        } catch (...) { /* std::bad_alloc, or what copying a function threw */
            return PHOS_E_NO_MEMORY;
        }
#else
        listen(from);
#endif
        const phos_options whole = from.whole(number_);

        close_timeout_ms_ = detail::to_ms(from.close_timeout_);
        return phos_client_open(&whole, &client_);
    }
    void listen(const options &from)
    {
        if (!from.functions_.any())
            return;
        listener_ = std::make_shared<detail::listener>(from.functions_);
        number_ = detail::registry::instance().add(listener_);
    }

    phos_client *client_;
    void *number_; /* of listener_ in the registry; NULL: none */
    std::shared_ptr<detail::listener> listener_;
    std::uint32_t close_timeout_ms_;
};

} // namespace phos

#endif
