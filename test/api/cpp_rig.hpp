/*
 * cpp_rig - a service inside the test, as a transport written in C++: answers
 * each request at once and keeps its body.
 */
#ifndef TEST_API_CPP_RIG_HPP
#define TEST_API_CPP_RIG_HPP

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "phos/phos.hpp"

class service
{
  public:
    explicit service(int http_status = 201)
        : transport_(), http_status_(http_status)
    {
        transport_.struct_size = sizeof(transport_);
        transport_.user_data = this;
        transport_.submit = submit;
        transport_.cancel = cancel;
    }

    const phos_transport *transport() const
    {
        return &transport_;
    }
    /* Options of a client of this service; small, and never lingering. */
    phos::options options() const
    {
        phos::options made;

        made.endpoint("http://127.0.0.1:1").api_key("ph_test");
        made->use_environment = false;
        made->transport = &transport_;
        made->linger_ms = 0;
        made->ring_bytes = 65536;
        made->event_bytes_max = 4096;
        return made;
    }
    std::vector<std::string> bodies()
    {
        const std::lock_guard<std::mutex> guard(lock_);

        return bodies_;
    }

  private:
    static phos_status submit(void *user_data, const phos_request *request,
                              phos_reply_fn *on_reply, void *reply_data)
    {
        service &self = *static_cast<service *>(user_data);
        phos_reply reply = phos_reply();
        const phos_header type = { PHOS_STR("Content-Type"),
                                   PHOS_STR("application/json") };

        {
            const std::lock_guard<std::mutex> guard(self.lock_);

            self.bodies_.push_back(phos::text(request->body).to_string());
        }
        reply.struct_size = sizeof(reply);
        reply.http_status = self.http_status_;
        reply.headers = &type;
        reply.header_count = 1;
        reply.body = PHOS_STR("{}");
        on_reply(&reply, reply_data);
        return PHOS_OK;
    }
    /* Nothing is ever under way. */
    static void cancel(void *, std::uint64_t, void *)
    {
    }

    phos_transport transport_;
    int http_status_;
    std::mutex lock_;
    std::vector<std::string> bodies_;
};

/* Something that happens on another thread, and whoever waits for it. */
class signal_flag
{
  public:
    void set()
    {
        const std::lock_guard<std::mutex> guard(lock_);

        is_set_ = true;
        changed_.notify_all();
    }
    /* False when it has not happened within 30 s. */
    bool wait()
    {
        std::unique_lock<std::mutex> guard(lock_);

        return changed_.wait_for(guard, std::chrono::seconds(30),
                                 [this] { return is_set_; });
    }

  private:
    std::mutex lock_;
    std::condition_variable changed_;
    bool is_set_ = false;
};

#endif
