// CRC-32C (Castagnoli), as iSCSI and ext4 use: what every journal record carries.
#pragma once

#include <cstdint>
#include <string_view>

namespace postcot::queued {

uint32_t crc32c(std::string_view data);

}   // namespace postcot::queued
