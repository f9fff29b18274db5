// Payloads of segments "PCTQSEG1", which were written until format 2 came. See decode_record() in records.h.
#pragma once

#include <string_view>
#include <vector>

#include "queued/journal/records.h"

namespace postcot::queued {

[[nodiscard]] bool decode_record_v1(std::string_view payload, std::vector<Op>& ops);

}   // namespace postcot::queued
