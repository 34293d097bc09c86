/*
 * phos/phos.hpp - libphos for C++11 and later: the same calls, with owners,
 * std::string, std::chrono and std::function. Header only.
 *
 *     phos::client client{phos::options()};          // throws phos::error
 *     client.log(phos::event(prompt, answer).model("m-1"));
 *     client.close(std::chrono::seconds(5));
 *
 * Nothing here decides anything: each call is one call of the C library, whose
 * headers say what it does. Calls answer with a phos_status and are noexcept;
 * what makes something comes twice, as a function that answers with a status
 * and as one that throws phos::error. With -fno-exceptions the first form alone
 * is there. What grows a string or a vector throws std::bad_alloc, as they do.
 *
 * phos::options and phos::event hold the C structs, and `->` leads to every
 * field of them, also to those that have no function of their own here:
 *
 *     phos::options options;
 *     options->linger_ms = 50;
 */
#ifndef PHOS_PHOS_HPP
#define PHOS_PHOS_HPP

#include "phos/base.hpp"
#include "phos/client.hpp"
#include "phos/event.hpp"
#include "phos/phos.h"
#include "phos/service.hpp"
#include "phos/worker.hpp"

#endif
