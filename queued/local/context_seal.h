// An Action that waits in the queue says what to do with which rights, and the queue belongs to mail_owner, not to root: without a seal, whoever
// became mail_owner could have the local agent do anything as anybody. The key is a file of root's in data_directory; when it is lost, waiting
// recipients are looked up again.
#pragma once

#include <string>
#include <string_view>

#include "libproto/error.h"

namespace postcot::queued {

class ContextSeal {
  public:
    // Reads $data_directory/local.key, or makes it. A file that is not ours alone is not believed. Never fails: at worst the key lives as long as the process.
    static ContextSeal open(const std::string& data_directory);
    explicit ContextSeal(std::string key) : key_(std::move(key)) {}

    std::string seal(std::string_view bytes) const;
    // EPERM when the seal is not ours.
    Expected<std::string> unseal(std::string_view sealed) const;

  private:
    std::string key_;
};

}   // namespace postcot::queued
