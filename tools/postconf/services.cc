// Both files, as postconf needs them: values unchecked, services with their fields as written.
#include <cerrno>

#include "libproto/config/logical_lines.h"
#include "libproto/config/read_text.h"
#include "tools/postconf/postconf.h"

namespace postcot::postconf {
namespace {

constexpr std::string_view kFields[] = {"service", "type",   "private",       "unprivileged",
                                        "chroot",  "wakeup", "process_limit", "command"};

}   // namespace

config::MainCf load_main(const Options& options) {
    auto main =
        options.defaults ? config::MainCf::parse("", "main.cf") : config::MainCf::load_unchecked(options.directory);
    if (!main) fatal(main.error().text);
    if (options.overrides.empty()) return *main;
    auto changed = main->with_overrides(options.overrides);
    if (!changed) fatal(changed.error().text);
    return *changed;
}

Services load_services(const Options& options, const config::MainCf& main) {
    Services out;
    std::string path = options.directory + "/master.cf";
    auto text = config::read_text(path);
    if (!text) {
        if (text.error().code == ENOENT) return out;
        fatal(text.error().text);
    }
    auto pieces = config::split_master_cf(*text, path);
    if (!pieces) fatal(pieces.error().text);
    out.pieces = std::move(*pieces);
    auto master = config::MasterCf::parse(*text, path, main);
    if (!master) {
        warn(master.error().text);
    } else {
        out.master = std::move(*master);
    }
    return out;
}

bool names_service(std::string_view pattern, const config::MasterEntry& entry) {
    // A service name may contain '/' itself (private/x): the type is what follows the last one.
    size_t slash = pattern.rfind('/');
    std::string_view name = pattern.substr(0, slash);
    std::string_view type = slash == std::string_view::npos ? std::string_view("*") : pattern.substr(slash + 1);
    return (name == "*" || name == entry.fields[0]) && (type == "*" || type == entry.fields[1]);
}

int field_index(std::string_view field) {
    for (size_t i = 0; i < std::size(kFields); ++i) {
        if (kFields[i] == field) return static_cast<int>(i);
    }
    return -1;
}

std::string_view field_name(size_t index) { return kFields[index]; }

}   // namespace postcot::postconf
