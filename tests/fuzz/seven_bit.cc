// Any bytes as a message for a server without 8BITMIME: pieces of any size give the same, and what is converted once is converted no further.
#include "libproto/mime/seven_bit.h"

#include <cstddef>
#include <cstdint>

using namespace postcot::mime;

namespace {

std::string convert(std::string_view text, size_t piece) {
    EightBitFinder finder;
    for (size_t i = 0; i < text.size(); i += piece) finder.feed(text.substr(i, piece));
    finder.finish();
    SevenBitConverter converter(finder.leaves());
    std::string out;
    for (size_t i = 0; i < text.size(); i += piece) converter.feed(text.substr(i, piece), out);
    converter.finish(out);
    return out;
}

}   // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto whole = convert(text, size + 1);
    if (convert(text, 3) != whole || convert(whole, size + 1) != whole) __builtin_trap();
    return 0;
}
