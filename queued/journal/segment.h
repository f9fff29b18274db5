// One segment file, as octets: what its records look like, and how it is read when some of it is damaged.
//
//   "PCTQSEG2"  u32 number, u32 zero; then records:
//   u32 "PCR2"  u32 length of the payload  u64 synced  u32 CRC-32C of the payload  u32 CRC-32C of these 24 octets without itself; payload
//
// `synced` is how much of this segment was on the disk when the record was written. It tells damage from a torn tail: what is unreadable at or behind every
// `synced` that follows was never acknowledged, and neither was what lies behind it. What is unreadable before one of them was whole once.
//
// "PCTQSEG1", written until 0.1: u32 length, u32 CRC-32C of the payload, payload. It is still read.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "libproto/error.h"
#include "libproto/runtime/files.h"

namespace postcot::queued {

constexpr size_t kSegmentHeader = 16;
constexpr size_t kRecordHeader = 24;
constexpr uint32_t kMaxRecord = 64 << 20;

std::string segment_header(uint32_t number);
void append_record(std::string& out, std::string_view payload, uint64_t synced);

struct Damage {
    uint64_t from = 0;   // octets of the segment that hold no record, and were acknowledged
    uint64_t to = 0;
    std::string why;
};

struct SegmentVisitor {
    // `offset` is where the payload begins; `format` is 1 or 2.
    std::function<void(uint64_t offset, std::string_view payload, unsigned format)> record;
    std::function<void(const Damage&)> damage;   // reading goes on behind it
    std::function<void(uint64_t at)> torn;       // the segment ends here, in an unfinished record
};

// Every whole record at or after `from`, in order. An empty file is a segment whose first sync never came: nothing is in it.
Expected<void> read_segment(File& file, uint32_t number, uint64_t from, const SegmentVisitor& visit);

}   // namespace postcot::queued
