/*
 * phos/callbacks.hpp - how what the library has to say reaches functions of
 * C++. Of this file applications use phos::receipts.
 */
#ifndef PHOS_CALLBACKS_HPP
#define PHOS_CALLBACKS_HPP

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <unistd.h>

#include "phos/base.hpp"
#include "phos/client.h"

namespace phos
{

/** Receipts that came together: a range of const phos_receipt. */
class receipts
{
  public:
    receipts(const phos_receipt *first, std::size_t count) noexcept
        : first_(first), count_(count)
    {
    }
    const phos_receipt *begin() const noexcept
    {
        return first_;
    }
    const phos_receipt *end() const noexcept
    {
        return first_ + count_;
    }
    std::size_t size() const noexcept
    {
        return count_;
    }
    const phos_receipt &operator[](std::size_t index) const noexcept
    {
        return first_[index];
    }

  private:
    const phos_receipt *first_;
    std::size_t count_;
};

namespace detail
{

struct functions {
    std::function<bool(phos_event &)> before_send;
    std::function<void(const receipts &)> on_receipts;
    std::function<void(const phos_receipt &, text)> on_refused;
    std::function<void(const phos_diagnostic &)> on_diagnostic;
    std::function<void(std::uint64_t, std::uint64_t)> on_high_water;
    std::function<void(void *)> on_easy;

    bool any() const noexcept
    {
        return before_send || on_receipts || on_refused || on_diagnostic ||
               on_high_water || on_easy;
    }
};

/* The functions of one open client. */
struct listener {
    functions call;
    std::atomic<std::uint64_t> exceptions;

    explicit listener(const functions &from) : call(from), exceptions(0)
    {
    }
};

/*
 * Who listens, by a number that is the C callbacks' user_data. A pointer would
 * not do: phos_client_free() waits only so long for a callback, and those that
 * come after it must find out that nobody listens any more.
 *
 * Never destroyed, for workers may outlast static objects. The child of a fork
 * makes one of its own: the parent's may be locked by a thread that the child
 * does not have. Numbers go on, so no client of the parent is one of the
 * child's.
 */
class registry
{
  public:
    const registry *const parents; /* kept in sight of leak checkers */

    static registry &instance()
    {
        static std::atomic<registry *> latest(nullptr);
        registry *found = latest.load();
        std::unique_ptr<registry> made;

        if (found && found->process_ == ::getpid())
            return *found;
        made.reset(new registry(found));
        if (latest.compare_exchange_strong(found, made.get()))
            found = made.release();
        return *found;
    }
    void *add(const std::shared_ptr<listener> &who)
    {
        static std::atomic<std::uintptr_t> last(0);
        const std::uintptr_t number = ++last;
        const std::lock_guard<std::mutex> guard(lock_);

        listeners_[number] = who;
        return reinterpret_cast<void *>(number);
    }
    std::shared_ptr<listener> find(void *number)
    {
        const std::lock_guard<std::mutex> guard(lock_);
        const auto found =
            listeners_.find(reinterpret_cast<std::uintptr_t>(number));

        return found == listeners_.end() ? nullptr : found->second;
    }
    void remove(void *number)
    {
        std::shared_ptr<listener> last; /* destroys after the unlocking */
        const std::lock_guard<std::mutex> guard(lock_);
        const auto found =
            listeners_.find(reinterpret_cast<std::uintptr_t>(number));

        if (found == listeners_.end())
            return;
        last.swap(found->second);
        listeners_.erase(found);
    }

  private:
    explicit registry(const registry *parent)
        : parents(parent), process_(::getpid())
    {
    }

    std::mutex lock_;
    std::map<std::uintptr_t, std::shared_ptr<listener>> listeners_;
    pid_t process_;
};

#ifdef PHOS_HPP_EXCEPTIONS
/* Tells on_diagnostic, in printable ASCII, what a callback has let out. */
inline void report(listener &who, const char *name, const char *what) noexcept
{
    phos_diagnostic diagnostic = phos_diagnostic();
    std::string line;

    who.exceptions++;
    if (!who.call.on_diagnostic)
        return;
    try {
        line = std::string(name) + " threw: " + what;
        line.resize(
            std::min<std::size_t>(line.size(), PHOS_ERROR_TEXT_BYTES - 1));
        for (char &c : line)
            c = c < ' ' || c > '~' ? '?' : c;
        std::memcpy(diagnostic.error.text, line.c_str(), line.size() + 1);
        diagnostic.struct_size = sizeof(diagnostic);
        diagnostic.severity = PHOS_SEVERITY_ERROR;
        diagnostic.code = PHOS_DIAGNOSTIC_CALLBACK;
        diagnostic.error.status = PHOS_E_INVALID;
        who.call.on_diagnostic(diagnostic);
    } catch (...) {
        who.exceptions++; /* there is nobody left to tell */
    }
}
#endif

/* Calls back without letting an exception into the library's C frames. */
template <typename Call>
void guarded(void *number, const char *name, Call call) noexcept
{
    const std::shared_ptr<listener> who = registry::instance().find(number);

    if (!who)
        return;
#ifdef PHOS_HPP_EXCEPTIONS
    try {
        call(who->call);
    } catch (const std::exception &exception) {
        report(*who, name, exception.what());
    } catch (...) {
        report(*who, name, "something that is no std::exception");
    }
#else
    (void)name;
    call(who->call);
#endif
}

/* What has not been masked is not sent: false where nothing is answered. */
inline bool before_send(phos_event *event, void *number)
{
    bool is_sent = false;

    guarded(number, "before_send",
            [&](const functions &to) { is_sent = to.before_send(*event); });
    return is_sent;
}

inline void on_receipts(const phos_receipt *first, std::size_t count,
                        void *number)
{
    guarded(number, "on_receipts", [=](const functions &to) {
        to.on_receipts(receipts(first, count));
    });
}

inline void on_refused(const phos_receipt *receipt, phos_str json, void *number)
{
    guarded(number, "on_refused",
            [=](const functions &to) { to.on_refused(*receipt, json); });
}

inline void on_diagnostic(const phos_diagnostic *diagnostic, void *number)
{
    guarded(number, "on_diagnostic",
            [=](const functions &to) { to.on_diagnostic(*diagnostic); });
}

inline void on_high_water(std::uint64_t used_bytes, std::uint64_t ring_bytes,
                          void *number)
{
    guarded(number, "on_high_water", [=](const functions &to) {
        to.on_high_water(used_bytes, ring_bytes);
    });
}

inline void on_easy(void *curl_easy, void *number)
{
    guarded(number, "on_easy",
            [=](const functions &to) { to.on_easy(curl_easy); });
}

} // namespace detail

} // namespace phos

#endif
