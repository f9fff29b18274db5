#include "libproto/address/lookup.h"

#include "libproto/address/rewrite.h"
#include "libproto/smtp/path.h"
#include "libproto/smtp/text.h"

namespace postcot::address {

size_t find_extension(std::string_view local, std::string_view delimiters, bool owner_request_special) {
    if (delimiters.empty() || local.empty()) return std::string_view::npos;
    if (smtp::equals_ignoring_case(local, "mailer-daemon") || smtp::equals_ignoring_case(local, "postmaster") ||
        smtp::equals_ignoring_case(local, "double-bounce")) {
        return std::string_view::npos;
    }
    if (owner_request_special && delimiters.find('-') != std::string_view::npos) {
        if (smtp::starts_with_ignoring_case(local, "owner-")) return std::string_view::npos;
        if (local.size() > 8 && smtp::equals_ignoring_case(local.substr(local.size() - 8), "-request"))
            return std::string_view::npos;
    }
    const size_t at = local.find_first_of(delimiters, 1);   // an empty user name is none
    return at;
}

Keys::Keys(const config::MainCf& main, std::shared_ptr<const OwnDomains> own)
    : own_(std::move(own)),
      my_origin_(origin(main)),
      delimiters_(main.str("recipient_delimiter")),
      owner_request_special_(main.boolean("owner_request_special")) {}

Expected<Keys> Keys::open(const config::MainCf& main) {
    auto own = OwnDomains::open(main);
    if (!own) return fail(std::move(own.error()));
    return Keys(main, std::move(*own));
}

Expected<bool> Keys::is_ours(std::string_view domain) const {
    if (smtp::equals_ignoring_case(domain, my_origin_)) return true;
    return own_->has_domain(domain);
}

Expected<std::optional<Found>> Keys::find(const table::Maps& maps, std::string_view address) const {
    if (maps.empty() || address.empty()) return std::optional<Found>{};
    const auto folded = smtp::lower(address);
    const size_t at = folded.rfind('@');
    const auto local = std::string_view(folded).substr(0, at);
    const auto at_domain = at == std::string::npos ? std::string_view{} : std::string_view(folded).substr(at);
    const size_t plus = find_extension(local, delimiters_, owner_request_special_);
    const auto user = local.substr(0, plus);
    const auto as_given = address.substr(0, at);   // case kept
    const auto extension = plus == std::string_view::npos ? std::string_view{} : as_given.substr(plus);

    auto attempt = [&](std::string_view key, bool partial,
                       std::string_view unmatched) -> Expected<std::optional<Found>> {
        auto value = maps.find(key, partial);
        if (!value) return fail(std::move(value.error()));
        if (!*value) return std::optional<Found>{};
        const auto kept = unmatched.empty() ? as_given : as_given.substr(0, as_given.size() - unmatched.size());
        return std::optional<Found>(Found{std::move(**value), std::string(unmatched), std::string(kept)});
    };

    auto found = attempt(folded, false, {});
    if (!found || *found) return found;
    if (!extension.empty()) {
        found = attempt(std::string(user) + std::string(at_domain), true, extension);
        if (!found || *found) return found;
    }
    auto bare_user = at == std::string::npos ? Expected<bool>(false) : is_ours(at_domain.substr(1));
    if (!bare_user) return fail(std::move(bare_user.error()));
    if (*bare_user) {
        found = attempt(local, true, {});
        if (!found || *found) return found;
        if (!extension.empty()) {
            found = attempt(user, true, extension);
            if (!found || *found) return found;
        }
    }
    if (!at_domain.empty()) {
        found = attempt(at_domain, true, extension);
        if (found && *found) {   // the whole local part is what "@other" keeps: nothing is unmatched then
            (*found)->local = std::string(as_given);
            if (!(*found)->value.empty() && (*found)->value.front() == '@') (*found)->extension.clear();
        }
    }
    return found;
}

std::string Keys::apply(const std::string& result, const Found& found, bool propagate) {
    if (!result.empty() && result.front() == '@') return found.local + result;
    if (!propagate || found.extension.empty()) return result;
    const size_t at = result.rfind('@');
    if (at == std::string::npos) return result + found.extension;
    return result.substr(0, at) + found.extension + result.substr(at);
}

std::vector<std::string> split_addresses(std::string_view result) {
    std::vector<std::string> out;
    std::string current;
    bool quoted = false;
    int comment = 0;
    int angle = -1;   // where <...> began in `current`
    auto finish = [&] {
        auto word = smtp::trim(current);
        if (angle >= 0) word = smtp::trim(std::string_view(current).substr(static_cast<size_t>(angle)));
        if (!word.empty()) out.push_back(smtp::to_internal(word));
        current.clear();
        angle = -1;
    };
    for (size_t i = 0; i < result.size(); ++i) {
        const char c = result[i];
        if (c == '\\' && i + 1 < result.size()) {
            if (comment == 0) current.append(result.substr(i, 2));
            ++i;
        } else if (quoted) {
            current += c;
            if (c == '"') quoted = false;
        } else if (comment > 0) {
            comment += c == '(' ? 1 : c == ')' ? -1 : 0;
        } else if (c == '(') {
            comment = 1;
        } else if (c == '"') {
            quoted = true;
            current += c;
        } else if (c == '<') {
            angle = static_cast<int>(current.size());
        } else if (c == '>') {
            continue;
        } else if (c == ',' || c == '\n') {
            finish();
        } else if (smtp::is_space(c)) {
            // virtual(5): white space separates like a comma; "Full Name <a@b>" and a leading ":include:" keep theirs.
            const auto next = result.find_first_not_of(" \t", i);
            const bool phrase = next != std::string_view::npos && result.find('<', i) < result.find(',', i);
            if (!phrase && angle < 0) finish();
        } else {
            current += c;
        }
    }
    finish();
    return out;
}

}   // namespace postcot::address
