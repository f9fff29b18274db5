// The names that some Dovecot from 2.0 to 2.4 knows, served or not: what is here is no typing error.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace postcot::config {

// dovecot_names_2_4.cc: sorted.
std::span<const std::string_view> dovecot_2_4_names();

// What 2.4 calls `key` in a section `type name { }`, in full: ("passdb", "pam", "session") is passdb_pam_session, ("", "", "ssl") is ssl. Empty when 2.4
// does not know it.
std::string dovecot_2_4_name(std::string_view type, std::string_view name, std::string_view key);
// Whether 2.4 has sections `type { }` or `type NAME { }` beyond those that the setting table has. 2.3's metric and event_exporter are among them.
bool is_dovecot_2_4_section(std::string_view type);

enum class Familiar {
    kNo,         // no Dovecot knows it
    kHarmless,   // its absence is not seen: caches, clients of services that are not there
    kYes
};
// Of settings that the table (dovecot_settings.h) does not have.
Familiar familiar_setting(std::string_view type, std::string_view name, std::string_view key);

// The setting, or the section at this place, that was meant by an unknown name; empty when nothing is near.
std::string likely_setting(std::string_view type, std::string_view name, std::string_view key);
std::string likely_section(std::string_view type);

}   // namespace postcot::config
