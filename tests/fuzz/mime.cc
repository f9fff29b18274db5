// Any bytes as a message: structure, envelope, bodystructure, sections, text, preview.
#include <cstddef>
#include <cstdint>

#include "libproto/mime/bodystructure.h"
#include "libproto/mime/charset.h"
#include "libproto/mime/date.h"
#include "libproto/mime/encoded_word.h"
#include "libproto/mime/envelope.h"

using namespace postcot::mime;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    Part root = parse_message(text);
    if (root.body > size || root.end > size || root.body < root.begin || root.end < root.body) __builtin_trap();
    std::string out;
    append_bodystructure(out, text, root, true);
    auto fields = parse_fields(text);
    append_imap(out, envelope_of(fields));
    for (const Field& field : fields) {
        decode_header(field.value);
        base_subject(field.value);
        parse_date(field.value);
        message_ids(field.value);
        parse_parameterised(field.value).parameter("filename");
    }
    for (Section::Kind kind : {Section::Kind::kAll, Section::Kind::kMime, Section::Kind::kHeader, Section::Kind::kText,
                               Section::Kind::kHeaderFieldsNot})
        for (std::vector<uint32_t> part : {std::vector<uint32_t>{}, {1}, {2}, {1, 1}, {2, 2}}) {
            Section section;
            section.kind = kind;
            section.part = part;
            for (auto [begin, end] : locate(text, root, section).ranges)
                if (begin > end || end > size) __builtin_trap();
        }
    size_t texts = 0;
    for_each_text(text, root, [&](const std::string& utf8) {
        if (!valid_utf8(utf8)) __builtin_trap();
        casemap(utf8);
        return ++texts > 20;
    });
    if (!valid_utf8(preview_of(text, root))) __builtin_trap();
    auto name = mutf7_to_utf8(text.substr(0, 200));
    if (name && !valid_utf8(*name)) __builtin_trap();
    return 0;
}
