#include "imapd/capability.h"

#include "imapd/settings.h"

namespace postcot::imapd {

namespace {

constexpr std::string_view kBefore = "IMAP4rev1 SASL-IR ID ENABLE IDLE LITERAL+";
constexpr std::string_view kAfter =
    "IMAP4rev1 SASL-IR ID ENABLE IDLE SORT THREAD=REFERENCES THREAD=REFS THREAD=ORDEREDSUBJECT MULTIAPPEND UNSELECT "
    "CHILDREN NAMESPACE "
    "UIDPLUS LIST-EXTENDED I18NLEVEL=1 CONDSTORE QRESYNC ESEARCH SEARCHRES WITHIN LIST-STATUS MOVE STATUS=SIZE "
    "LITERAL+ SPECIAL-USE BINARY PREVIEW SAVEDATE APPENDLIMIT=2147483648";
static_assert(kMaxMessage == 2147483648);

std::string with_setting(std::string_view built_in, const std::string& setting) {
    if (setting.empty()) return std::string(built_in);
    if (setting[0] != '+') return setting;
    return std::string(built_in) + " " + setting.substr(1);
}

}   // namespace

std::string capability_before_login(const login::FrontClient& client) {
    std::string out = with_setting(kBefore, client.conf().str("imap_capability", "imap"));
    if (client.starttls_available()) out += " STARTTLS";
    if (client.plaintext_disabled()) out += " LOGINDISABLED";
    for (const auto& name : client.mechanisms()) out += " AUTH=" + name;
    return out;
}

std::string capability_after_login(const config::DovecotConf& conf) {
    return with_setting(kAfter, conf.str("imap_capability", "imap"));
}

}   // namespace postcot::imapd
