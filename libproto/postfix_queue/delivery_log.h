// The logs that bounce(8) keeps beside a queue file under the same id: defer/ (why each recipient waits), bounce/ (what is still to be
// returned), trace/ (deliveries that are still to be reported). A text line "<address>: reason" of old, then "name=value" lines, then an empty line, for each
// recipient.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postcot::postfix_queue {

struct DeliveryLogEntry {
    std::string recipient;
    std::string original;
    uint64_t offset = 0;   // of the recipient's record in the queue file; 0: not said
    std::string orcpt;
    uint8_t notify = 0;
    std::string status;   // "4.4.1"
    std::string action;   // "delayed", "failed", "delivered", "relayed", "expanded", "deliverable", "undeliverable"
    std::string reason;
    std::string diagnostic;   // "smtp; 550 ...": type and text
    std::string remote_mta;   // "dns; mx.example.com"
};

// Total: what is not understood is skipped.
std::vector<DeliveryLogEntry> read_delivery_log(std::string_view text);
std::string compose_delivery_log(const std::vector<DeliveryLogEntry>& entries);

}   // namespace postcot::postfix_queue
