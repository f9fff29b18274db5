// The name of a message file in a Maildir. It is derived from the queue id, the arrival time and the recipient and from
// nothing else, so that a second delivery of the same copy (after a crash between rename and the report) makes the same
// name: exactly once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace postcot::queued {

// "1732445566.M123456Q4XyZ1R0123456789abcdef.mail.example.com". Dovecot takes the received date from the digits and the
// microseconds after M. `recipient` is whatever tells two copies of one message apart: index and address.
std::string maildir_base_name(int64_t arrival_seconds, int64_t arrival_microseconds, std::string_view queue_id,
                              std::string_view recipient, std::string_view hostname);

// The base with Maildir++'s and Dovecot's sizes: ",S=<octets as stored>,W=<octets with CRLF line ends>". The store
// needs no stat and no read for RFC822.SIZE then.
std::string maildir_sized_name(std::string_view base, uint64_t stored, uint64_t with_crlf);

// Is `name` (from new/ or cur/, with sizes and ":2,flags") the file of `base`?
bool maildir_name_has_base(std::string_view name, std::string_view base);

}   // namespace postcot::queued
