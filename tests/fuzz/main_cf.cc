// main.cf, then master.cf read against it, then both editors: any bytes give settings or an error with file and line.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "libproto/config/edit.h"
#include "libproto/config/parameter.h"
#include "libproto/config/postfix.h"
#include "libproto/config/values.h"

using namespace postcot::config;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    // The first empty comment line "#" parts the two files.
    size_t border = text.find("\n#\n");
    std::string_view main_text = text.substr(0, border == std::string_view::npos ? text.size() : border + 1);
    std::string_view master_text = border == std::string_view::npos ? std::string_view{} : text.substr(border + 3);
    auto main = MainCf::parse(main_text, "main.cf");
    if (!main) {
        if (main.error().text.find("main.cf") == std::string::npos) std::abort();
        main = MainCf::parse("", "main.cf");
    }
    for (const auto& set : main->set_parameters()) {
        const auto* parameter = find_postfix_parameter(set.name);
        if (parameter && parameter->kind == Kind::kBoolean) main->boolean(set.name);
        if (parameter && parameter->kind == Kind::kTime) main->time(set.name);
        main->list(set.name);
    }
    auto master = MasterCf::parse(master_text, "master.cf", *main);
    if (master) {
        for (const auto& service : master->services()) {
            service.host_port();
            auto own = main->with_overrides(service.overrides);
            if (own) own->warnings();
        }
    }
    main->warnings(master ? &*master : nullptr);
    auto edited = edit_main_cf(main_text, EditAction::kSet, {{"fuzzed", "1"}});
    edit_main_cf(edited, EditAction::kCommentOut, {{"fuzzed", ""}, {"mydomain", ""}});
    if (auto pieces = split_master_cf(master_text, "master.cf")) {
        // Written back unchanged, nothing may be lost; written in postconf's own form, it must be read as the same services.
        if (join_master_cf(*pieces).size() < master_text.size()) std::abort();
        for (auto& piece : *pieces) {
            if (piece.is_entry && !parse_master_entry(piece.entry.format(false))) std::abort();
        }
    }
    return 0;
}
