#include "queued/local/maildir_name.h"

#include <fmt/format.h>

namespace postcot::queued {

namespace {

uint64_t fnv1a(std::string_view text) {
    uint64_t hash = 0xcbf29ce484222325ULL;
    for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    return hash;
}

}   // namespace

std::string maildir_base_name(int64_t arrival_seconds, int64_t arrival_microseconds, std::string_view queue_id,
                              std::string_view recipient, std::string_view hostname) {
    std::string host;
    for (char c : hostname) {
        // maildir(5): '/' and ':' cannot be in a file name there; ',' would start the sizes.
        if (c == '/')
            host += "\\057";
        else if (c == ':')
            host += "\\072";
        else if (c == ',')
            host += "\\054";
        else
            host += c;
    }
    return fmt::format("{}.M{}Q{}R{:016x}.{}", arrival_seconds, arrival_microseconds, queue_id, fnv1a(recipient), host);
}

std::string maildir_sized_name(std::string_view base, uint64_t stored, uint64_t with_crlf) {
    return fmt::format("{},S={},W={}", base, stored, with_crlf);
}

bool maildir_name_has_base(std::string_view name, std::string_view base) {
    if (name.size() < base.size() || name.substr(0, base.size()) != base) return false;
    return name.size() == base.size() || name[base.size()] == ',' || name[base.size()] == ':';
}

}   // namespace postcot::queued
