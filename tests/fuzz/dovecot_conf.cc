// dovecot.conf without includes: any bytes give a tree or an error with file and line.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "libproto/config/dovecot.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    auto conf = postcot::config::DovecotConf::parse(text, "dovecot.conf");
    if (!conf) {
        if (conf.error().text.find("dovecot.conf") == std::string::npos) std::abort();
        return 0;
    }
    conf->list("protocols");
    conf->boolean("disable_plaintext_auth", "imap");
    conf->str("mail_location", "pop3");
    for (const auto* service : conf->sections("service")) {
        for (const auto* listener : service->sections("unix_listener")) listener->integer("mode");
        service->str("user");
    }
    for (const auto* database : conf->sections("passdb")) database->str("args");
    conf->warnings();
    return 0;
}
