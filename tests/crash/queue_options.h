// A queue at /queue of a SimFiles disk, with segments so short that a few messages fill several.
#pragma once

#include <string>

#include "queued/store/store.h"

namespace postcot::queued {

// `index`: a folder on the real disk, since LMDB maps it. `boot`: another one makes the index be rebuilt.
inline StoreOptions options_for(const std::string& index, const std::string& boot) {
    StoreOptions options;
    options.directory = "/queue";
    options.segment_size = 1500;
    options.index_directory = index;
    options.index_map_size = 4 << 20;
    options.boot_id = boot;
    return options;
}

}   // namespace postcot::queued
