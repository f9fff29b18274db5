#include "tools/queue_common/control_client.h"

#include <cerrno>

#include "libproto/ipc/channel.h"
#include "libproto/runtime/loop.h"
#include "libproto/runtime/net.h"

namespace postcot::tools {

namespace {

Task<Expected<ipc::ControlDone>> ask(std::string path, ipc::ControlRequest request, ControlHandlers handlers) {
    auto address = SockAddr::unix_path(path);
    if (!address) co_return fail(address.error());
    auto fd = co_await connect_to(*address, Millis(10000));
    if (!fd) co_return fail(fd.error());
    ipc::Channel channel(std::move(*fd));
    auto sent = co_await channel.send_message(request);
    if (!sent) co_return fail(sent.error());
    for (;;) {
        auto frame = co_await channel.receive();
        if (!frame) co_return fail(frame.error());
        if (frame->type == ipc::ControlItem::kType) {
            auto item = ipc::Channel::unpack<ipc::ControlItem>(*frame);
            if (!item) co_return fail(item.error());
            if (handlers.item) handlers.item(*item);
        } else if (frame->type == ipc::ControlText::kType) {
            auto text = ipc::Channel::unpack<ipc::ControlText>(*frame);
            if (!text) co_return fail(text.error());
            if (handlers.text) handlers.text(*text);
        } else {
            co_return ipc::Channel::unpack<ipc::ControlDone>(*frame);
        }
    }
}

}   // namespace

Expected<ipc::ControlDone> control(const config::MainCf& main, ipc::ControlRequest request, ControlHandlers handlers) {
    Loop loop;
    return loop.run_until_complete(
        ask(main.str("queue_directory") + "/public/control", std::move(request), std::move(handlers)));
}

}   // namespace postcot::tools
