// Any octets through the command reader and the whole command grammar.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "libproto/imap/command.h"
#include "libproto/imap/mailbox_name.h"
#include "libproto/imap/reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace postcot::imap;
    std::string_view in(reinterpret_cast<const char*>(data), size);
    CommandReader reader({4096, true});
    while (!in.empty()) {
        auto event = reader.feed(in);
        if (event == CommandReader::Event::kNeedMore || event == CommandReader::Event::kContinue) continue;
        if (reader.text().size() > 4096 + 512) abort();
        Request request = parse_request(reader.text());
        if (request.tag.size() > 255) abort();
        if (event == CommandReader::Event::kAppendMessage) {
            in.remove_prefix(static_cast<size_t>(std::min<uint64_t>(reader.literal_size(), in.size())));
            reader.after_message();
        }
    }
    std::string_view whole(reinterpret_cast<const char*>(data), size);
    if (auto name = decode_modified_utf7(whole)) {
        if (decode_modified_utf7(encode_modified_utf7(*name)) != name) abort();
    }
    return 0;
}
