// Postfix's queue files and logs of deliveries: any octets give a message or an error; what is read can be written, and reads the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "libproto/postfix_queue/compose.h"
#include "libproto/postfix_queue/delivery_log.h"
#include "libproto/postfix_queue/message.h"

using namespace postcot;
using namespace postcot::postfix_queue;

namespace {

Expected<Message> read(std::string_view bytes, std::string& text) {
    MemorySource source(bytes);
    return read_message(source, [&text](std::string_view piece) -> Expected<void> {
        text += piece;
        return {};
    });
}

}   // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    std::string text;
    auto message = read(bytes, text);
    if (text.size() > bytes.size()) std::abort();   // nothing is read twice
    if (message) {
        Composer composer(*message);
        std::string written = composer.head();
        const size_t half = text.size() / 2;
        written += composer.text(std::string_view(text).substr(0, half));
        written += composer.text(std::string_view(text).substr(half));
        written += composer.end();
        if (composer.sizes().size() > written.size()) std::abort();
        written.replace(0, composer.sizes().size(), composer.sizes());
        std::string same;
        auto again = read(written, same);
        if (!again || same != text || again->sender != message->sender ||
            again->recipients.size() != message->recipients.size() || again->envid != message->envid ||
            again->attributes != message->attributes) {
            std::abort();
        }
        for (size_t i = 0; i < again->recipients.size(); ++i) {
            const auto& a = again->recipients[i];
            const auto& b = message->recipients[i];
            if (a.address != b.address || a.done != b.done || a.orcpt != b.orcpt || a.notify != b.notify) std::abort();
        }
    }
    const auto entries = read_delivery_log(bytes);
    if (read_delivery_log(compose_delivery_log(entries)).size() != entries.size()) std::abort();
    return 0;
}
