#include "libproto/smtp/command.h"

#include "libproto/smtp/text.h"

namespace postcot::smtp {
namespace {

constexpr std::string_view kNames[] = {"unknown", "helo",    "ehlo",     "lhlo",    "mail", "rcpt", "data", "bdat",
                                       "rset",    "noop",    "quit",     "vrfy",    "expn", "help", "etrn", "starttls",
                                       "auth",    "xclient", "xforward", "connect", "get",  "post"};
static_assert(std::size(kNames) == kVerbCount);

// "FROM:<a@b> ..." -> "<a@b> ..."; Postfix also takes a blank before the colon.
bool take_keyword(std::string_view& arguments, std::string_view keyword, bool strict) {
    if (!starts_with_ignoring_case(arguments, keyword)) return false;
    auto rest = arguments.substr(keyword.size());
    if (!strict) {
        while (!rest.empty() && is_space(rest.front())) rest.remove_prefix(1);
    }
    if (rest.empty() || rest.front() != ':') return false;
    rest.remove_prefix(1);
    if (trim(rest).empty()) return false;
    arguments = rest;
    return true;
}

}   // namespace

CommandLine split_command(std::string_view line) {
    CommandLine out;
    auto rest = trim(line);
    out.word = next_word(rest);
    out.arguments = trim(rest);
    for (int i = 1; i < kVerbCount; ++i) {
        if (equals_ignoring_case(out.word, kNames[i])) out.verb = static_cast<Verb>(i);
    }
    return out;
}

std::string_view verb_name(Verb verb) { return kNames[static_cast<size_t>(verb)]; }

Expected<Mail> parse_mail(std::string_view arguments, const MailOptions& options) {
    if (!take_keyword(arguments, "FROM", options.strict)) return fail(501, "5.5.4", "Syntax: MAIL FROM:<address>");
    PathOptions path_options;
    path_options.strict = options.strict;
    path_options.min_user = options.min_user;
    path_options.smtputf8 = options.offered.smtputf8 && asks_smtputf8(arguments);
    std::string_view rest;
    auto path = parse_path(arguments, PathKind::kReverse, path_options, rest);
    if (!path) return fail(std::move(path.error()));
    auto parameters = parse_mail_parameters(rest, options.offered);
    if (!parameters) return fail(std::move(parameters.error()));
    return Mail{std::move(*path), std::move(*parameters)};
}

Expected<Rcpt> parse_rcpt(std::string_view arguments, const MailOptions& options, bool smtputf8) {
    if (!take_keyword(arguments, "TO", options.strict)) return fail(501, "5.5.4", "Syntax: RCPT TO:<address>");
    PathOptions path_options;
    path_options.strict = options.strict;
    path_options.min_user = options.min_user;
    path_options.smtputf8 = smtputf8;
    std::string_view rest;
    auto path = parse_path(arguments, PathKind::kForward, path_options, rest);
    if (!path) return fail(std::move(path.error()));
    auto parameters = parse_rcpt_parameters(rest, options.offered, smtputf8);
    if (!parameters) return fail(std::move(parameters.error()));
    return Rcpt{std::move(*path), std::move(*parameters)};
}

Expected<Bdat> parse_bdat(std::string_view arguments) {
    Bdat out;
    const auto number = next_word(arguments);
    const auto last = next_word(arguments);
    auto syntax = [] { return fail(501, "5.5.4", "Syntax: BDAT count [LAST]"); };
    if (number.empty() || number.size() > 18) return syntax();
    for (char c : number) {
        if (!is_digit(c)) return syntax();
        out.size = out.size * 10 + static_cast<uint64_t>(c - '0');
    }
    if (!last.empty()) {
        if (!equals_ignoring_case(last, "LAST")) return syntax();
        out.last = true;
    }
    if (!trim(arguments).empty()) return syntax();
    return out;
}

Expected<Auth> parse_auth(std::string_view arguments) {
    const auto mechanism = next_word(arguments);
    const auto initial = next_word(arguments);
    // RFC 4422 §3.1: 1 to 20 of A-Z 0-9 - _
    if (mechanism.empty() || mechanism.size() > 20 || !trim(arguments).empty()) {
        return fail(501, "5.5.4", "Syntax: AUTH mechanism");
    }
    for (char c : mechanism) {
        if (!is_alpha(c) && !is_digit(c) && c != '-' && c != '_') return fail(501, "5.5.4", "Syntax: AUTH mechanism");
    }
    Auth out;
    out.mechanism = upper(mechanism);
    if (initial == "=") {
        out.initial = "";
    } else if (!initial.empty()) {
        out.initial = std::string(initial);
    }
    return out;
}

}   // namespace postcot::smtp
