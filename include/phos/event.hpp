/*
 * phos/event.hpp - ids, sessions, and one AI interaction.
 */
#ifndef PHOS_EVENT_HPP
#define PHOS_EVENT_HPP

#include <functional>
#include <type_traits>
#include <vector>

#include "phos/base.hpp"
#include "phos/event.h"

namespace phos
{

/** The identity of an event: a UUID that can be compared, sorted and hashed. */
class event_id
{
  public:
    event_id() noexcept : id_()
    {
    }
    event_id(const phos_event_id &id) noexcept : id_(id)
    {
    }

    /** Makes a new one. Returns PHOS_OK or PHOS_E_SYSTEM. */
    PHOS_HPP_NODISCARD static phos_status make(event_id &ret_id) noexcept
    {
        return phos_event_id_make(&ret_id.id_);
    }
    /** Reads 36 characters. Returns PHOS_OK or PHOS_E_INVALID. */
    PHOS_HPP_NODISCARD static phos_status parse(const text &from,
                                                event_id &ret_id) noexcept
    {
        return phos_event_id_from_text(from, &ret_id.id_);
    }
#ifdef PHOS_HPP_EXCEPTIONS
    static event_id make()
    {
        event_id id;
        const phos_status status = make(id);

        if (status != PHOS_OK)
            throw error(status, "phos_event_id_make");
        return id;
    }
    static event_id parse(const text &from)
    {
        event_id id;
        const phos_status status = parse(from, id);

        if (status != PHOS_OK)
            throw error(status, "phos_event_id_from_text");
        return id;
    }
#endif

    std::string to_string() const
    {
        char buffer[PHOS_EVENT_ID_TEXT_LENGTH + 1];

        phos_event_id_to_text(&id_, buffer);
        return std::string(buffer, PHOS_EVENT_ID_TEXT_LENGTH);
    }
    const phos_event_id *get() const noexcept
    {
        return &id_;
    }
    phos_event_id *get() noexcept
    {
        return &id_;
    }

    friend bool operator==(const event_id &a, const event_id &b) noexcept
    {
        return std::memcmp(&a.id_, &b.id_, sizeof(a.id_)) == 0;
    }
    friend bool operator!=(const event_id &a, const event_id &b) noexcept
    {
        return !(a == b);
    }
    friend bool operator<(const event_id &a, const event_id &b) noexcept
    {
        return std::memcmp(&a.id_, &b.id_, sizeof(a.id_)) < 0;
    }

  private:
    phos_event_id id_;
};

/** Makes a session id: prefix, dash, 16 random digits. Returns PHOS_OK,
 * PHOS_E_INVALID or PHOS_E_SYSTEM. */
PHOS_HPP_NODISCARD inline phos_status make_session_id(const text &prefix,
                                                      std::string &ret_id)
{
    char buffer[PHOS_SESSION_ID_BYTES_MAX];
    std::size_t length = 0;
    const phos_status status = phos_session_id_make(prefix, buffer, &length);

    if (status == PHOS_OK)
        ret_id.assign(buffer, length);
    return status;
}

#ifdef PHOS_HPP_EXCEPTIONS
inline std::string make_session_id(const text &prefix = text())
{
    std::string id;
    const phos_status status = make_session_id(prefix, id);

    if (status != PHOS_OK)
        throw error(status, "phos_session_id_make");
    return id;
}
#endif

/**
 * One interaction. Texts are borrowed until it was logged; id, tags, pairs and
 * the list of output's parts are kept here, so tag(), pair() and output_part()
 * allocate, which nothing else does. For a thread in a hurry: keep an event,
 * clear() it, fill it anew.
 */
class event
{
  public:
    event() noexcept : event_(phos_event_default()), id_(), has_id_(false)
    {
    }
    event(const borrowed_text &input, const borrowed_text &output) noexcept
        : event()
    {
        event_.input = input;
        event_.output = output;
    }

    event &input(const borrowed_text &value) noexcept
    {
        event_.input = value;
        return *this;
    }
    event &output(const borrowed_text &value) noexcept
    {
        event_.output = value;
        return *this;
    }
    /** Instead of output: its next piece, of an answer that was streamed. */
    event &output_part(const borrowed_text &piece)
    {
        parts_.push_back(piece);
        return *this;
    }
    event &session_id(const borrowed_text &value) noexcept
    {
        event_.session_id = value;
        return *this;
    }
    event &project_id(const borrowed_text &value) noexcept
    {
        event_.project_id = value;
        return *this;
    }
    event &user_id(const borrowed_text &value) noexcept
    {
        event_.user_id = value;
        return *this;
    }
    event &traceparent(const borrowed_text &value) noexcept
    {
        event_.traceparent = value;
        return *this;
    }
    event &model(const borrowed_text &value) noexcept
    {
        event_.model = value;
        return *this;
    }
    event &provider(const borrowed_text &value) noexcept
    {
        event_.provider = value;
        return *this;
    }
    event &metadata_json(const borrowed_text &object) noexcept
    {
        event_.metadata_json = object;
        return *this;
    }
    /** Copied. */
    event &id(const event_id &value) noexcept
    {
        id_ = value;
        has_id_ = true;
        return *this;
    }
    event &timestamp(std::chrono::system_clock::time_point value) noexcept
    {
        event_.timestamp_us =
            std::chrono::duration_cast<std::chrono::microseconds>(
                value.time_since_epoch())
                .count();
        return *this;
    }
    event &latency(std::chrono::milliseconds value) noexcept
    {
        event_.latency_ms = value.count();
        return *this;
    }
    event &tokens(std::int64_t in, std::int64_t out) noexcept
    {
        event_.token_count_input = in;
        event_.token_count_output = out;
        return *this;
    }
    event &cost_cents(double value) noexcept
    {
        event_.cost_cents = value;
        return *this;
    }
    event &cookie(std::uint64_t value) noexcept
    {
        event_.cookie = value;
        return *this;
    }

    event &tag(const borrowed_text &value)
    {
        tags_.push_back(value);
        return *this;
    }

    /* Templates, or a literal would rather become a bool than a text. */
    template <typename T>
    typename std::enable_if<std::is_same<T, bool>::value, event &>::type
    pair(const borrowed_text &key, T value)
    {
        pairs_.push_back(phos_pair_boolean(key, value));
        return *this;
    }
    template <typename T>
    typename std::enable_if<std::is_integral<T>::value &&
                                !std::is_same<T, bool>::value,
                            event &>::type
    pair(const borrowed_text &key, T value)
    {
        const std::int64_t integer = static_cast<std::int64_t>(value);

        /* Unsigned, and above what an integer field holds. */
        if (value > 0 && integer < 0)
            return pair(key, static_cast<double>(value));
        pairs_.push_back(phos_pair_integer(key, integer));
        return *this;
    }
    template <typename T>
    typename std::enable_if<std::is_floating_point<T>::value, event &>::type
    pair(const borrowed_text &key, T value)
    {
        pairs_.push_back(phos_pair_number(key, static_cast<double>(value)));
        return *this;
    }
    event &pair(const borrowed_text &key, const borrowed_text &value)
    {
        pairs_.push_back(phos_pair_text(key, value));
        return *this;
    }
    event &pair(const borrowed_text &key, std::nullptr_t)
    {
        pairs_.push_back(phos_pair_null(key));
        return *this;
    }

    /** Leaves every field out again and keeps the vectors' memory. */
    event &clear() noexcept
    {
        event_ = phos_event_default();
        has_id_ = false;
        tags_.clear();
        pairs_.clear();
        parts_.clear();
        return *this;
    }

    /** Every field of the C struct; what is kept here wins over its own. */
    phos_event *operator->() noexcept
    {
        return &event_;
    }
    const phos_event *operator->() const noexcept
    {
        return &event_;
    }

    /** For C: lives as long as this event is neither changed nor destroyed. */
    phos_event get() const noexcept
    {
        phos_event whole = event_;

        if (has_id_)
            whole.event_id = id_.get();
        if (!tags_.empty()) {
            whole.tags = tags_.data();
            whole.tag_count = tags_.size();
        }
        if (!pairs_.empty()) {
            whole.pairs = pairs_.data();
            whole.pair_count = pairs_.size();
        }
        if (!parts_.empty()) {
            whole.output_parts = parts_.data();
            whole.output_part_count = parts_.size();
        }
        return whole;
    }

  private:
    phos_event event_;
    event_id id_;
    bool has_id_;
    std::vector<phos_str> tags_;
    std::vector<phos_pair> pairs_;
    std::vector<phos_str> parts_;
};

} // namespace phos

namespace std
{
template <> struct hash<phos::event_id> {
    size_t operator()(const phos::event_id &id) const noexcept
    {
        size_t value;

        /* The end: all versions of UUIDs are random there. */
        memcpy(&value, id.get()->bytes + 16 - sizeof(value), sizeof(value));
        return value;
    }
};
} // namespace std

#endif
