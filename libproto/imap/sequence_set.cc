#include "libproto/imap/sequence_set.h"

#include <algorithm>
#include <charconv>

namespace postcot::imap {

namespace {

// nz-number or "*".
bool take_number(std::string_view& in, uint32_t& out) {
    if (in.starts_with('*')) {
        in.remove_prefix(1);
        out = SequenceSet::kStar;
        return true;
    }
    if (in.empty() || in[0] < '1' || in[0] > '9') return false;
    auto [end, error] = std::from_chars(in.data(), in.data() + in.size(), out);
    if (error != std::errc{}) return false;
    in.remove_prefix(static_cast<size_t>(end - in.data()));
    return true;
}

void append_number(std::string& out, uint32_t n) {
    if (n == SequenceSet::kStar) {
        out += '*';
        return;
    }
    char digits[12];
    auto [end, error] = std::to_chars(digits, digits + sizeof digits, n);
    out.append(digits, end);
}

}   // namespace

Expected<SequenceSet> parse_sequence_set(std::string_view in) {
    SequenceSet set;
    if (in == "$") {
        set.saved = true;
        return set;
    }
    for (;;) {
        SequenceSet::Range range;
        if (!take_number(in, range.first))
            return fail(0, "expected a message number, \"*\" or a range in the sequence set");
        range.last = range.first;
        if (in.starts_with(':')) {
            in.remove_prefix(1);
            if (!take_number(in, range.last)) return fail(0, "expected a message number or \"*\" after \":\"");
        }
        if (set.ranges.size() == kMaxRanges) return fail(0, "sequence set has too many ranges");
        set.ranges.push_back(range);
        if (in.empty()) return set;
        if (!in.starts_with(',')) return fail(0, "expected \",\" or \":\" in the sequence set");
        in.remove_prefix(1);
    }
}

std::vector<SequenceSet::Range> SequenceSet::resolve(uint32_t largest) const {
    std::vector<Range> out;
    out.reserve(ranges.size());
    for (Range range : ranges) {
        if (range.first == kStar) range.first = largest;
        if (range.last == kStar) range.last = largest;
        if (range.first > range.last) std::swap(range.first, range.last);
        if (range.last == 0) continue;   // "*" in an empty mailbox
        if (range.first == 0) range.first = 1;
        out.push_back(range);
    }
    std::sort(out.begin(), out.end(), [](const Range& a, const Range& b) { return a.first < b.first; });
    size_t kept = 0;
    for (const Range& range : out) {
        if (kept > 0 && range.first <= uint64_t{out[kept - 1].last} + 1) {
            out[kept - 1].last = std::max(out[kept - 1].last, range.last);
        } else {
            out[kept++] = range;
        }
    }
    out.resize(kept);
    return out;
}

std::string format_set(const std::vector<uint32_t>& sorted) {
    std::string out;
    for (size_t i = 0; i < sorted.size();) {
        size_t end = i + 1;
        while (end < sorted.size() && sorted[end] == sorted[end - 1] + 1) ++end;
        if (!out.empty()) out += ',';
        append_number(out, sorted[i]);
        if (end - i > 1) {
            out += ':';
            append_number(out, sorted[end - 1]);
        }
        i = end;
    }
    return out;
}

std::string format_ranges(const std::vector<SequenceSet::Range>& ranges) {
    std::string out;
    for (const auto& range : ranges) {
        if (!out.empty()) out += ',';
        append_number(out, range.first);
        if (range.last != range.first) {
            out += ':';
            append_number(out, range.last);
        }
    }
    return out;
}

}   // namespace postcot::imap
