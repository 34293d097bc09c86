/*
 * phos/base.hpp - the words every other C++ header uses: errors, text views.
 */
#ifndef PHOS_BASE_HPP
#define PHOS_BASE_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>

#if defined(__cpp_exceptions) || defined(__EXCEPTIONS)
#define PHOS_HPP_EXCEPTIONS 1
#include <stdexcept>
#endif
#if __cplusplus >= 201703L
#define PHOS_HPP_NODISCARD [[nodiscard]]
#include <string_view>
#else
#define PHOS_HPP_NODISCARD
#endif

#include "phos/base.h"

namespace phos
{

#ifdef PHOS_HPP_EXCEPTIONS
/** What constructors throw: a status, and its text with what was tried. */
class error : public std::runtime_error
{
  public:
    error(phos_status status, const char *what)
        : std::runtime_error(std::string(what) + ": " +
                             phos_status_text(status)),
          status_(status)
    {
    }

    phos_status status() const noexcept
    {
        return status_;
    }

  private:
    phos_status status_;
};
#endif

/**
 * A view of UTF-8 text, made from whatever holds text. A NULL pointer is no
 * text at all, which leaves a field of an event out; empty text is sent as "".
 */
class text
{
  public:
    text() noexcept : view_(phos_str_make(nullptr, 0))
    {
    }
    text(const char *terminated) noexcept
        : view_(phos_str_make(terminated,
                              terminated ? std::strlen(terminated) : 0))
    {
    }
    text(const char *data, std::size_t size) noexcept
        : view_(phos_str_make(data, size))
    {
    }
    text(const std::string &string) noexcept
        : view_(phos_str_make(string.data(), string.size()))
    {
    }
    text(phos_str view) noexcept : view_(view)
    {
    }
#if __cplusplus >= 201703L
    text(std::string_view view) noexcept
        : view_(phos_str_make(view.data(), view.size()))
    {
    }
    operator std::string_view() const noexcept
    {
        return { view_.data, view_.length };
    }
#endif
    operator phos_str() const noexcept
    {
        return view_;
    }
    const char *data() const noexcept
    {
        return view_.data;
    }
    std::size_t size() const noexcept
    {
        return view_.length;
    }
    std::string to_string() const
    {
        return view_.data ? std::string(view_.data, view_.length)
                          : std::string();
    }

  private:
    phos_str view_;
};

/**
 * Text that has to live on after the call that takes it. A std::string that
 * would be gone by then does not compile.
 */
class borrowed_text : public text
{
  public:
    using text::text;
    borrowed_text(const std::string &&) = delete;
    borrowed_text(const text &view) noexcept : text(view)
    {
    }
};

namespace detail
{

/* What the C library takes: 0 for the past, its maximum for ever. */
inline std::uint32_t to_ms(std::chrono::milliseconds time) noexcept
{
    const std::chrono::milliseconds::rep count = time.count();

    if (count <= 0)
        return 0;
    if (count > std::numeric_limits<std::uint32_t>::max())
        return std::numeric_limits<std::uint32_t>::max();
    return static_cast<std::uint32_t>(count);
}

} // namespace detail

} // namespace phos

#endif
