// A connection of the auth protocol: lines in, whole replies out from several tasks.
#pragma once

#include <string>

#include "libproto/runtime/loop.h"
#include "libproto/runtime/stream.h"

namespace postcot::authd {

class LineStream {
  public:
    explicit LineStream(UniqueFd fd) : stream_(std::move(fd)) {}

    Task<Expected<Line>> read(size_t max) { return stream_.read_line(max); }
    // A peer that does not read its answers is cut off after a minute.
    Task<Expected<void>> write(std::string text) {
        auto guard = co_await writing_.lock();
        auto sent = co_await stream_.write(text, kPatience);
        if (sent) sent = co_await stream_.flush(kPatience);
        if (!sent) stream_.close();
        co_return sent;
    }
    void close() { stream_.close(); }

  private:
    static constexpr Millis kPatience{60000};
    Stream stream_;
    Mutex writing_;
};

}   // namespace postcot::authd
