// bounce(5): the texts and where they come from. The built-in ones are those that Postfix's users know; log and mail tools match on them.
#include <fmt/format.h>

#include "queued/bounce/compose.h"

namespace postcot::queued {

namespace {

constexpr std::string_view kFailure =
    "Charset: us-ascii\n"
    "From: MAILER-DAEMON (Mail Delivery System)\n"
    "Subject: Undelivered Mail Returned to Sender\n"
    "Postmaster-Subject: Postmaster Copy: Undelivered Mail\n"
    "\n"
    "This is the mail system at host $myhostname.\n"
    "\n"
    "I'm sorry to have to inform you that your message could not\n"
    "be delivered to one or more recipients. It's attached below.\n"
    "\n"
    "For further assistance, please send mail to postmaster.\n"
    "\n"
    "If you do so, please include this problem report. You can\n"
    "delete your own text from the attached returned message.\n"
    "\n"
    "                   The mail system\n";

constexpr std::string_view kDelay =
    "Charset: us-ascii\n"
    "From: MAILER-DAEMON (Mail Delivery System)\n"
    "Subject: Delayed Mail (still being retried)\n"
    "Postmaster-Subject: Postmaster Warning: Delayed Mail\n"
    "\n"
    "This is the mail system at host $myhostname.\n"
    "\n"
    "####################################################################\n"
    "# THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #\n"
    "####################################################################\n"
    "\n"
    "Your message could not be delivered for more than $delay_warning_time_hours hour(s).\n"
    "It will be retried until it is $maximal_queue_lifetime_days day(s) old.\n"
    "\n"
    "For further assistance, please send mail to postmaster.\n"
    "\n"
    "If you do so, please include this problem report. You can\n"
    "delete your own text from the attached returned message.\n"
    "\n"
    "                   The mail system\n";

constexpr std::string_view kSuccess =
    "Charset: us-ascii\n"
    "From: MAILER-DAEMON (Mail Delivery System)\n"
    "Subject: Successful Mail Delivery Report\n"
    "\n"
    "This is the mail system at host $myhostname.\n"
    "\n"
    "Your message was successfully delivered to the destination(s)\n"
    "listed below. If the message was delivered to mailbox you will\n"
    "receive no further notifications. Otherwise you may still receive\n"
    "notifications of mail delivery errors from other systems.\n"
    "\n"
    "                   The mail system\n";

constexpr std::string_view kVerify =
    "Charset: us-ascii\n"
    "From: MAILER-DAEMON (Mail Delivery System)\n"
    "Subject: Mail Delivery Status Report\n"
    "\n"
    "This is the mail system at host $myhostname.\n"
    "\n"
    "Enclosed is the mail delivery report that you requested.\n"
    "\n"
    "                   The mail system\n";

bool is_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
    return text;
}

std::string_view take_line(std::string_view& text) {
    size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return line;
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

std::string in_unit(std::chrono::seconds value, std::string_view suffix) {
    long long unit = 1;
    if (suffix == "minutes")
        unit = 60;
    else if (suffix == "hours")
        unit = 3600;
    else if (suffix == "days")
        unit = 86400;
    else if (suffix == "weeks")
        unit = 7 * 86400;
    return std::to_string(value.count() / unit);
}

std::string value_of(std::string_view name, const DsnSettings& settings, const TemplateExpander* expander) {
    constexpr std::string_view kDelayTime = "delay_warning_time_";
    constexpr std::string_view kLifetime = "maximal_queue_lifetime_";
    if (name.substr(0, kDelayTime.size()) == kDelayTime)
        return in_unit(settings.delay_warning_time, name.substr(kDelayTime.size()));
    if (name.substr(0, kLifetime.size()) == kLifetime)
        return in_unit(settings.maximal_queue_lifetime, name.substr(kLifetime.size()));
    if (name == "myhostname") return settings.myhostname;
    if (name == "mydomain") return settings.mydomain;
    return expander ? expander->value(name) : std::string();
}

std::string expand(std::string_view text, const DsnSettings& settings, const TemplateExpander* expander) {
    std::string out;
    for (size_t i = 0; i < text.size();) {
        if (text[i] != '$' || i + 1 == text.size()) {
            out += text[i++];
            continue;
        }
        if (text[i + 1] == '$') {
            out += '$';
            i += 2;
            continue;
        }
        char close = text[i + 1] == '{' ? '}' : text[i + 1] == '(' ? ')' : '\0';
        size_t start = i + (close ? 2 : 1);
        size_t end = start;
        while (end < text.size() && is_name(text[end])) ++end;
        out += value_of(text.substr(start, end - start), settings, expander);
        i = close && end < text.size() && text[end] == close ? end + 1 : end;
    }
    return out;
}

Expected<DsnTemplate> parse_template(std::string_view name, std::string_view text, const DsnSettings& settings,
                                     const TemplateExpander* expander) {
    DsnTemplate out;
    while (!text.empty()) {
        std::string_view rest = text;
        std::string_view line = take_line(rest);
        size_t colon = line.find(':');
        if (trim(line).empty()) {
            text = rest;
            break;
        }
        std::string label = lower(line.substr(0, colon));
        if (colon == std::string_view::npos || label.find_first_of(" \t") != std::string::npos)
            break;   // no headers: text
        std::string value(trim(line.substr(colon + 1)));
        if (label == "charset")
            out.charset = value;
        else if (label == "from")
            out.from = value;
        else if (label == "subject")
            out.subject = value;
        else if (label == "postmaster-subject")
            out.postmaster_subject = value;
        else
            return fail(0, fmt::format("{}: unknown header label \"{}\"", name, line.substr(0, colon)));
        text = rest;
    }
    out.text = expand(text, settings, expander);
    if (!out.text.empty() && out.text.back() != '\n') out.text += '\n';
    return out;
}

}   // namespace

std::string default_template_text(DsnKind kind) {
    switch (kind) {
        case DsnKind::kFailure: return std::string(kFailure);
        case DsnKind::kDelay: return std::string(kDelay);
        case DsnKind::kSuccess: return std::string(kSuccess);
        case DsnKind::kVerify: return std::string(kVerify);
    }
    return {};
}

Expected<DsnTemplates> load_templates(std::string_view file, const DsnSettings& settings,
                                      const TemplateExpander* expander) {
    DsnTemplates out;
    struct Slot {
        std::string_view name;
        DsnTemplate* into;
        std::string_view builtin;
    };
    const Slot slots[] = {{"failure_template", &out.failure, kFailure},
                          {"delay_template", &out.delay, kDelay},
                          {"success_template", &out.success, kSuccess},
                          {"verify_template", &out.verify, kVerify}};
    for (const auto& slot : slots) *slot.into = parse_template(slot.name, slot.builtin, settings, expander).value();

    int number = 0;
    while (!file.empty()) {
        std::string_view line = trim(take_line(file));
        ++number;
        if (line.empty() || line[0] == '#') continue;
        size_t equals = line.find('=');
        std::string_view name = trim(line.substr(0, equals));
        std::string_view value = equals == std::string_view::npos ? std::string_view() : trim(line.substr(equals + 1));
        if (value.substr(0, 2) != "<<")
            return fail(0, fmt::format("bounce_template_file, line {}: expected \"name = <<MARK\"", number));
        std::string_view mark = trim(value.substr(2));
        const Slot* slot = nullptr;
        for (const auto& known : slots)
            if (known.name == name) slot = &known;
        if (!slot)
            return fail(0, fmt::format("bounce_template_file, line {}: unknown template name: {}", number, name));
        std::string text;
        bool ended = false;
        int start = number;
        while (!file.empty() && !ended) {
            std::string_view content = take_line(file);
            ++number;
            if (content == mark) {
                ended = true;
            } else {
                text += content;
                text += '\n';
            }
        }
        if (!ended) return fail(0, fmt::format("bounce_template_file, line {}: no \"{}\" ends this", start, mark));
        auto parsed = parse_template(name, text, settings, expander);
        if (!parsed) return fail(0, "bounce_template_file, " + parsed.error().text);
        // What the template does not say stays built in.
        if (parsed->from.empty()) parsed->from = slot->into->from;
        if (parsed->subject.empty()) parsed->subject = slot->into->subject;
        if (parsed->postmaster_subject.empty()) parsed->postmaster_subject = slot->into->postmaster_subject;
        *slot->into = std::move(*parsed);
    }
    return out;
}

}   // namespace postcot::queued
