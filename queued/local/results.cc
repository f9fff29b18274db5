#include "queued/local/results.h"

#include <cerrno>

namespace postcot::queued {

using ipc::Outcome;
using ipc::RecipientResult;

namespace {

RecipientResult make(Outcome outcome, std::string dsn, std::string text) {
    RecipientResult result;
    result.outcome = outcome;
    result.dsn = std::move(dsn);
    result.text = std::move(text);
    return result;
}

}   // namespace

RecipientResult sent(std::string text, std::string dsn) {
    return make(Outcome::kSent, std::move(dsn), std::move(text));
}

RecipientResult deferred(std::string dsn, std::string text) {
    return make(Outcome::kDeferred, std::move(dsn), std::move(text));
}

RecipientResult bounced(std::string dsn, std::string text) {
    return make(Outcome::kBounced, std::move(dsn), std::move(text));
}

RecipientResult failed(std::string dsn, std::string text) {
    bool final = !dsn.empty() && dsn[0] == '5';
    return make(final ? Outcome::kBounced : Outcome::kDeferred, std::move(dsn), std::move(text));
}

RecipientResult mailbox_failed(std::string_view what, const Error& error) {
    std::string dsn;
    switch (error.code) {
        case EFBIG:
        case EDQUOT: dsn = "5.2.2"; break;
        case EIO:
        case ENFILE:
        case EMFILE:
        case ENOSPC:
        case EROFS: dsn = "4.3.0"; break;
        default: dsn = "4.2.0";
    }
    return failed(std::move(dsn), std::string(what) + " delivery failed: " + error.text);
}

SplitLocal split_local(std::string_view local, std::string_view delimiters, bool owner_request_special) {
    SplitLocal out;
    out.user = std::string(local);
    if (delimiters.empty()) return out;
    if (owner_request_special) {
        std::string lowered = lower_case(local);
        std::string_view text = lowered;
        if (text == "mailer-daemon" || text == "double-bounce") return out;
        if (delimiters.find('-') != std::string_view::npos) {
            if (text.substr(0, 6) == "owner-") return out;
            if (text.size() > 8 && text.substr(text.size() - 8) == "-request") return out;
        }
    }
    size_t at = local.find_first_of(delimiters, 1);
    if (at == std::string_view::npos || at == 0) return out;
    out.user = std::string(local.substr(0, at));
    out.extension = std::string(local.substr(at + 1));
    out.delimiter = local[at];
    return out;
}

SplitAddress split_address(std::string_view address) {
    SplitAddress out;
    size_t at = address.rfind('@');
    std::string_view local = address.substr(0, at);
    if (at != std::string_view::npos) out.domain = lower_case(address.substr(at + 1));
    out.local = std::string(local);
    return out;
}

std::string lower_case(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

}   // namespace postcot::queued
