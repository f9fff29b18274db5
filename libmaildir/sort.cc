// SORT (RFC 5256 §3, RFC 5957 display names).
#include <algorithm>

#include "libmaildir/view.h"
#include "libproto/mime/address.h"
#include "libproto/mime/charset.h"
#include "libproto/mime/encoded_word.h"
#include "libproto/mime/envelope.h"

namespace postcot::maildir {

namespace {

// One column of keys: numbers or collation strings, by position in the list of messages.
struct Column {
    bool reverse = false;
    std::vector<int64_t> numbers;
    std::vector<std::string> strings;
};

std::string address_key(std::string_view fields, std::string_view name, bool display) {
    for (const mime::Field& field : mime::parse_fields(fields)) {
        if (!mime::iequals(field.name, name)) continue;
        for (const mime::Address& address : mime::parse_addresses(field.value)) {
            if (address.kind == mime::Address::Kind::kGroupStart) return mime::casemap(address.mailbox);
            if (address.kind != mime::Address::Kind::kMailbox) continue;
            if (!display) return mime::casemap(address.mailbox);
            if (!address.name.empty()) return mime::casemap(mime::decode_header(address.name));
            return mime::casemap(address.mailbox + "@" + address.host);
        }
    }
    return {};
}

std::string subject_key(std::string_view fields) {
    for (const mime::Field& field : mime::parse_fields(fields))
        if (mime::iequals(field.name, "Subject")) return mime::casemap(mime::base_subject(field.value));
    return {};
}

}   // namespace

Expected<std::vector<SeqNum>> View::sort(const SearchKey& key, const std::vector<SortKey>& order) {
    auto found = search(key);
    if (!found) return found;
    const std::vector<SeqNum>& messages = *found;
    size_t count = messages.size();
    std::vector<Column> columns;
    bool heads = false;
    for (const SortKey& by : order) {
        Column column;
        column.reverse = by.reverse;
        switch (by.field) {
            case SortField::kArrival:
                for (SeqNum seq : messages) column.numbers.push_back(date_at(seq.value - 1).seconds);
                break;
            case SortField::kSize:
                for (SeqNum seq : messages) {
                    auto size = size_at(seq.value - 1);
                    column.numbers.push_back(size ? static_cast<int64_t>(*size) : 0);
                }
                break;
            case SortField::kDate:
                column.numbers.resize(count);
                heads = true;
                break;
            default: column.strings.resize(count); heads = true;
        }
        columns.push_back(std::move(column));
    }
    if (heads) {
        std::vector<size_t> place(rows_.size() + 1);
        for (size_t i = 0; i < count; ++i) place[messages[i].value] = i;
        std::vector<size_t> undated;
        auto done = each_head(messages, [&](SeqNum seq, std::string_view head) {
            size_t at = place[seq.value];
            std::string_view fields = head_fields(head);
            for (size_t c = 0; c < order.size(); ++c) {
                Column& column = columns[c];
                switch (order[c].field) {
                    case SortField::kDate: {
                        HeadStart start = head_start(head);
                        column.numbers[at] = start.sent;
                        if (!start.has_date) undated.push_back(at);
                        break;
                    }
                    case SortField::kSubject: column.strings[at] = subject_key(fields); break;
                    case SortField::kFrom: column.strings[at] = address_key(fields, "From", false); break;
                    case SortField::kTo: column.strings[at] = address_key(fields, "To", false); break;
                    case SortField::kCc: column.strings[at] = address_key(fields, "Cc", false); break;
                    case SortField::kDisplayFrom: column.strings[at] = address_key(fields, "From", true); break;
                    case SortField::kDisplayTo: column.strings[at] = address_key(fields, "To", true); break;
                    default: break;
                }
            }
        });
        if (!done) return fail(done.error());
        // RFC 5256 §2.2: without a usable Date: field, the internal date.
        for (size_t at : undated)
            for (size_t c = 0; c < order.size(); ++c)
                if (order[c].field == SortField::kDate)
                    columns[c].numbers[at] = date_at(messages[at].value - 1).seconds;
    }
    std::vector<uint32_t> rank(count);
    for (size_t i = 0; i < count; ++i) rank[i] = static_cast<uint32_t>(i);
    std::sort(rank.begin(), rank.end(), [&](uint32_t a, uint32_t b) {
        for (const Column& column : columns) {
            int less = 0;
            if (!column.numbers.empty()) {
                less = column.numbers[a] < column.numbers[b] ? -1 : column.numbers[a] > column.numbers[b] ? 1 : 0;
            } else {
                less = column.strings[a].compare(column.strings[b]);
            }
            if (less != 0) return column.reverse ? less > 0 : less < 0;
        }
        return a < b;   // RFC 5256 §3: equal ones by sequence number
    });
    std::vector<SeqNum> out(count);
    for (size_t i = 0; i < count; ++i) out[i] = messages[rank[i]];
    finish();
    return out;
}

}   // namespace postcot::maildir
