#include "pop3d/capability.h"

namespace postcot::pop3d {

namespace {
constexpr char kAlways[] = "+OK\r\nCAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\nAUTH-RESP-CODE\r\n";
}

std::string capabilities_before_login(login::FrontClient& client) {
    std::string out = kAlways;
    if (client.starttls_available()) out += "STLS\r\n";
    if (!client.plaintext_disabled()) out += "USER\r\n";
    std::string mechanisms;
    for (const std::string& mechanism : client.mechanisms()) mechanisms += " " + mechanism;
    if (!mechanisms.empty()) out += "SASL" + mechanisms + "\r\n";
    return out + ".\r\n";
}

std::string capabilities_after_login() { return std::string(kAlways) + ".\r\n"; }

}   // namespace postcot::pop3d
