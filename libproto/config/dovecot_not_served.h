// What a dovecot.conf asks for and nobody here does.
#pragma once

#include <string>
#include <vector>

#include "libproto/config/dovecot.h"

namespace postcot::config {

// One line each, "file:line: what is not served: what follows from it", in the file's order within each kind of section.
std::vector<std::string> dovecot_not_served(const DovecotSection& root);

// A word of `protocols` that no Dovecot knows. Dovecot: "protocols: Unknown protocol: impa".
Expected<void> check_dovecot_protocols(const DovecotSection& root);

}   // namespace postcot::config
