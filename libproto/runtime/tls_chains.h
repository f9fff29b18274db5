// Inside runtime's TLS: files of keys and certificates one after the other.
#pragma once

#include <string>
#include <vector>

#include "libproto/error.h"

struct ssl_ctx_st;

namespace postcot {

// Each chain is a private key, its certificate, and the certificates that lead to the root. The files are read as if they were one.
Expected<void> load_chain_files(ssl_ctx_st* context, const std::vector<std::string>& files);

}   // namespace postcot
