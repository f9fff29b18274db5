// The data phase: however the octets are cut into pieces the content is the same, nothing but <CR><LF>.<CR><LF> ends it, and the
// content holds no CR; then the header cleanup over that content.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "libproto/smtp/data.h"
#include "libproto/smtp/header_cleanup.h"

using namespace postcot::smtp;

namespace {

std::string clean(std::string_view content, size_t step) {
    HeaderOptions options;
    options.add_missing = true;
    options.message_id = "<m@example.com>";
    options.date = "Tue, 24 Nov 2026 00:00:00 +0000";
    options.from = "f@example.com";
    options.extract_recipients = true;
    options.header_size_limit = 200;
    options.rewrite = [](std::string_view address, HeaderClass) { return std::string(address) + "x"; };
    HeaderCleanup cleanup(options);
    std::string out;
    for (size_t at = 0; at < content.size(); at += step) cleanup.feed(content.substr(at, step), out);
    cleanup.finish(out);
    return out;
}

}   // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 1) return 0;
    const size_t step = 1 + data[0] % 16;
    const std::string_view wire(reinterpret_cast<const char*>(data) + 1, size - 1);

    DataDecoder whole(BareNewline::kNormalize);
    std::string content;
    const size_t used = whole.feed(wire, content);
    DataDecoder pieces(BareNewline::kNormalize);
    std::string same;
    size_t at = 0;
    while (at < wire.size() && !pieces.done()) at += pieces.feed(wire.substr(at, step), same);
    if (same != content || at != used || pieces.done() != whole.done()) std::abort();
    if (content.find('\r') != std::string::npos) std::abort();
    if (whole.done()) {
        const auto taken = wire.substr(0, used);
        const bool first = taken == ".\r\n";
        const bool ends = taken.size() >= 5 && taken.substr(taken.size() - 5) == "\r\n.\r\n";
        if (!first && !ends) std::abort();
        // What we send on decodes to what we took in.
        DataEncoder encoder;
        std::string again;
        encoder.feed(content, again);
        encoder.finish(again);
        DataDecoder decoder(BareNewline::kNormalize);
        std::string round;
        decoder.feed(again, round);
        if (!decoder.done() || round != content) std::abort();
    }
    ChunkDecoder chunks;
    std::string chunked;
    for (size_t i = 0; i < wire.size(); i += step) chunks.feed(wire.substr(i, step), chunked);
    chunks.finish(chunked);
    if (chunked.find('\r') != std::string::npos) std::abort();

    if (clean(content, step) != clean(content, content.size() + 1)) std::abort();
    return 0;
}
