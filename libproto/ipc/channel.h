// Framed messages and descriptors over a connected Unix stream socket. Frame: u32 length of payload, u16 type, u16 number of descriptors, payload.
// A message type is a struct with
//     static constexpr uint16_t kType;  void encode(Writer&) const;  static T decode(Reader&);
// declared in the header of the conversation it belongs to (ipc/queue.h, ipc/login.h ...).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "libproto/error.h"
#include "libproto/ipc/codec.h"
#include "libproto/runtime/fd.h"
#include "libproto/runtime/loop.h"

namespace postcot::ipc {

struct Frame {
    uint16_t type = 0;
    std::string payload;
    std::vector<UniqueFd> fds;
};

class Channel {
  public:
    static constexpr size_t kMaxFrame = 16 << 20;
    static constexpr size_t kMaxFds = 8;

    explicit Channel(UniqueFd socket, size_t max_frame = kMaxFrame);
    ~Channel();
    Channel(Channel&&) noexcept;
    Channel& operator=(Channel&&) noexcept;

    // Frames are sent whole and in order; several tasks may send. Suspends while the socket is full.
    Task<Expected<void>> send(Frame frame);
    // Queues a frame without waiting; the loop writes it. For notifications where the queue is bounded by the protocol.
    void post(Frame frame);
    // One reader at a time. ENODATA when the peer closed.
    Task<Expected<Frame>> receive(Millis timeout = kNoTimeout);

    int fd() const;
    void close();

    template <class M>
    Task<Expected<void>> send_message(const M& message, std::vector<UniqueFd> fds = {}) {
        return send(pack(message, std::move(fds)));
    }
    template <class M>
    static Frame pack(const M& message, std::vector<UniqueFd> fds = {}) {
        Writer w;
        message.encode(w);
        Frame frame;
        frame.type = M::kType;
        frame.payload = w.take();
        frame.fds = std::move(fds);
        return frame;
    }
    template <class M>
    static Expected<M> unpack(const Frame& frame) {
        if (frame.type != M::kType) return fail(EPROTO, "unexpected message type");
        Reader r(frame.payload);
        M message = M::decode(r);
        if (!r.ok()) return fail(EPROTO, "truncated message");
        return message;
    }

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;   // shared with the tasks that wait in it
};

}   // namespace postcot::ipc
