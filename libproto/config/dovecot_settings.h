// Every setting of Dovecot 2.3 (doveconf -a), by the section type it stands in; see parameter.h for the meaning of the
// columns.
#pragma once

#include <string_view>

#include "libproto/config/parameter.h"

namespace postcot::config {

struct DovecotSetting {
    std::string_view section;   // "" for the top level, else "service", "unix_listener", "passdb" ...
    Parameter parameter;
};

struct DovecotSettings {
    const DovecotSetting* first;
    size_t count;
    const DovecotSetting* begin() const { return first; }
    const DovecotSetting* end() const { return first + count; }
};
DovecotSettings dovecot_settings();   // by section, then by name

// The words a setting may have for value; empty when it takes any text.
std::string_view dovecot_allowed_words(std::string_view section, std::string_view name);

const Parameter* find_dovecot_setting(std::string_view section, std::string_view name);

// Dovecot's built-in services and their listeners, in dovecot.conf's own syntax.
std::string_view dovecot_built_in_services();

}   // namespace postcot::config
