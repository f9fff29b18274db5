#include "libproto/config/filters.h"

#include <algorithm>
#include <iterator>

#include "libproto/config/values.h"

namespace postcot::config {
namespace {

constexpr std::string_view kCleanupChecks[] = {"header_checks", "mime_header_checks", "nested_header_checks",
                                               "body_checks"};

Unfiltered default_action(std::string_view word) {
    if (word == "accept") return Unfiltered::kPass;
    if (word == "tempfail") return Unfiltered::kDefer;
    if (word == "reject") return Unfiltered::kReject;
    if (word == "quarantine") return Unfiltered::kHold;
    return Unfiltered::kMisconfigured;
}

std::string_view inside_braces(std::string_view text) {
    if (text.size() < 2 || text.front() != '{' || text.back() != '}') return text;
    text = text.substr(1, text.size() - 2);
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

bool is_client_check(std::string_view name) {
    if (name.rfind("smtp_", 0) != 0 && name.rfind("lmtp_", 0) != 0) return false;
    return std::find(std::begin(kCleanupChecks), std::end(kCleanupChecks), name.substr(5)) != std::end(kCleanupChecks);
}

}   // namespace

std::string MissingFilter::reason() const { return parameter + " (" + filter + ") is not served: mail waits"; }

MissingFilter missing_milter(const MainCf& service, std::string_view parameter, std::string_view list) {
    for (const auto& element : split_list(list)) {
        auto action = default_action(service.str("milter_default_action"));
        std::string name = element;
        if (element.front() == '{') {
            const auto words = split_list(inside_braces(element));
            name = words.empty() ? std::string() : words.front();
            for (size_t i = 1; i < words.size(); ++i) {
                const auto word = inside_braces(words[i]);
                const size_t equals = word.find('=');
                if (equals == std::string_view::npos) continue;
                auto attribute = word.substr(0, equals), value = word.substr(equals + 1);
                while (!attribute.empty() && attribute.back() == ' ') attribute.remove_suffix(1);
                while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
                if (attribute == "default_action") action = default_action(value);
            }
        }
        if (action != Unfiltered::kPass) return {action, std::string(parameter), std::move(name)};
    }
    return {};
}

MissingFilter missing_checks(const MainCf& cleanup) {
    for (const auto& name : kCleanupChecks) {
        if (auto value = cleanup.str(name); !value.empty())
            return {Unfiltered::kDefer, std::string(name), std::move(value)};
    }
    return {};
}

MissingFilter missing_client_checks(const MainCf& transport, std::string_view command) {
    if (command != "smtp" && command != "lmtp") return {};
    for (const auto& check : kCleanupChecks) {
        const auto name = std::string(command) + '_' + std::string(check);
        if (auto value = transport.str(name); !value.empty()) return {Unfiltered::kDefer, name, std::move(value)};
    }
    return {};
}

std::string unserved_filter(const MainCf& service, std::string_view parameter, std::string_view value) {
    if (value.empty()) return {};
    const std::string waits = " is not served: mail waits until it is";
    if (parameter == "smtpd_milters" || parameter == "non_smtpd_milters") {
        const auto missing = missing_milter(service, parameter, service.expand(value));
        switch (missing.outcome) {
            case Unfiltered::kPass:
                return std::string(parameter) +
                       " is not served: mail passes unfiltered, as the default action \"accept\" says";
            case Unfiltered::kReject:
                return missing.parameter + ": " + missing.filter +
                       " is not served: mail is rejected, as its default action says";
            case Unfiltered::kHold:
                return missing.parameter + ": " + missing.filter +
                       " is not served: mail is put on hold, as its default action says";
            case Unfiltered::kDefer:
            case Unfiltered::kMisconfigured: break;
        }
        return missing.parameter + ": " + missing.filter + waits +
               "; \"milter_default_action = accept\" lets it through";
    }
    if (parameter == "smtpd_milter_maps") {
        return "smtpd_milter_maps" + waits + "; \"milter_default_action = accept\" lets it through";
    }
    const bool cleanup_check =
        std::find(std::begin(kCleanupChecks), std::end(kCleanupChecks), parameter) != std::end(kCleanupChecks);
    if (cleanup_check || is_client_check(parameter) || parameter == "smtpd_proxy_filter") {
        return std::string(parameter) + waits + ", or until this setting is removed";
    }
    return {};
}

}   // namespace postcot::config
