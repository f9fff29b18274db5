// The parts of command delivery that start no process.
#include <fmt/format.h>
#include <paths.h>
#include <sys/wait.h>
#include <sysexits.h>

#include <algorithm>

#include "queued/local/command.h"
#include "queued/local/results.h"

namespace postcot::queued {

namespace {

std::string filtered(std::string_view value, std::string_view allowed) {
    std::string out(value);
    for (char& c : out)
        if (allowed.find(c) == std::string_view::npos) c = '_';
    return out;
}

struct Meaning {
    int status;
    const char* dsn;
    const char* text;
};
// sysexits.h as Postfix reads it.
constexpr Meaning kMeanings[] = {
    {EX_USAGE, "5.3.0", "command line usage error"},    {EX_DATAERR, "5.6.0", "data format error"},
    {EX_NOINPUT, "5.3.0", "cannot open input"},         {EX_NOUSER, "5.1.1", "user unknown"},
    {EX_NOHOST, "5.1.2", "host name unknown"},          {EX_UNAVAILABLE, "5.3.0", "service unavailable"},
    {EX_SOFTWARE, "5.3.0", "internal software error"},  {EX_OSERR, "4.3.0", "system resource problem"},
    {EX_OSFILE, "5.3.0", "critical OS file missing"},   {EX_CANTCREAT, "5.2.0", "can't create user output file"},
    {EX_IOERR, "5.3.0", "input/output error"},          {EX_TEMPFAIL, "4.3.0", "temporary failure"},
    {EX_PROTOCOL, "5.5.0", "remote error in protocol"}, {EX_NOPERM, "5.7.0", "permission denied"},
    {EX_CONFIG, "5.3.5", "local configuration error"},
};

// RFC 3463: "5.7.1", class 2, 4 or 5.
std::string_view leading_dsn(std::string_view text) {
    if (text.size() < 5 || (text[0] != '2' && text[0] != '4' && text[0] != '5') || text[1] != '.') return {};
    size_t i = 2;
    for (int part = 0; part < 2; ++part) {
        size_t start = i;
        while (i < text.size() && i - start < 3 && text[i] >= '0' && text[i] <= '9') ++i;
        if (i == start) return {};
        if (part == 0) {
            if (i >= text.size() || text[i] != '.') return {};
            ++i;
        }
    }
    if (i < text.size() && text[i] != ' ' && text[i] != '\n' && text[i] != '\t') return {};
    return text.substr(0, i);
}

std::string one_line(std::string_view output) {
    std::string out;
    for (char c : output) {
        if (out.size() >= 1000) break;
        if (c == '\n') {
            if (!out.empty()) out += ' ';
        } else {
            out += static_cast<unsigned char>(c) < 32 ? '?' : c;
        }
    }
    while (!out.empty() && out.back() == ' ') out.pop_back();
    return out;
}

}   // namespace

std::vector<std::string> plain_command_words(std::string_view command) {
    constexpr std::string_view kPlain = "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ \t";
    if (command.find_first_not_of(kPlain) != std::string_view::npos) return {};
    std::vector<std::string> words;
    for (size_t i = 0; i < command.size();) {
        size_t start = command.find_first_not_of(" \t", i);
        if (start == std::string_view::npos) break;
        size_t end = std::min(command.find_first_of(" \t", start), command.size());
        words.emplace_back(command.substr(start, end - start));
        i = end;
    }
    // NAME=value before the program is the shell's.
    if (!words.empty() && words.front().find('=') != std::string::npos) return {};
    return words;
}

std::vector<std::string> command_environment(const ipc::Deliver& deliver, const Action& action,
                                             const config::MainCf& main, const std::vector<std::string>& inherited) {
    const ipc::Recipient& recipient = deliver.recipients.front().recipient;
    std::string allowed = main.str("command_expansion_filter");
    std::vector<std::string> out;
    auto add = [&](std::string_view name, std::string_view value) {
        if (!value.empty()) out.push_back(fmt::format("{}={}", name, filtered(value, allowed)));
    };
    // export_environment: NAME keeps ours, NAME=value sets it.
    for (const auto& name : main.list("export_environment")) {
        if (name.find('=') != std::string::npos) {
            out.push_back(name);
            continue;
        }
        for (const auto& entry : inherited)
            if (entry.size() > name.size() && entry[name.size()] == '=' && entry.compare(0, name.size(), name) == 0)
                out.push_back(entry);
    }
    out.push_back(std::string("PATH=") + _PATH_DEFPATH);
    if (!action.home.empty()) out.push_back("HOME=" + action.home);
    if (!action.shell.empty()) out.push_back("SHELL=" + action.shell);
    if (!action.user.empty()) {
        out.push_back("LOGNAME=" + action.user);
        out.push_back("USER=" + action.user);
    }
    SplitAddress address = split_address(recipient.address);
    add("LOCAL", action.local.empty() ? address.local : action.local);
    add("EXTENSION", action.extension);
    add("DOMAIN", address.domain);
    add("RECIPIENT", recipient.address);
    add("ORIGINAL_RECIPIENT", recipient.original.empty() ? recipient.address : recipient.original);
    add("SENDER", deliver.sender);
    add("CLIENT_ADDRESS", deliver.client_address);
    add("CLIENT_HELO", deliver.helo_name);
    add("CLIENT_HOSTNAME", deliver.client_name);
    add("CLIENT_PROTOCOL", deliver.protocol);
    add("SASL_METHOD", deliver.sasl_method);
    add("SASL_SENDER", deliver.sasl_sender);
    add("SASL_USERNAME", deliver.sasl_username);
    return out;
}

ipc::RecipientResult command_result(std::string_view command, const SubprocessResult& result,
                                    std::string_view sent_text) {
    std::string output = one_line(result.output);
    std::string with_output = output.empty() ? "" : ". Command output: " + output;
    ipc::RecipientResult answer;
    if (result.timed_out) {
        answer = bounced("5.3.0", fmt::format("Command time limit exceeded: \"{}\"{}", command, with_output));
    } else if (WIFSIGNALED(result.status)) {
        answer = bounced("5.3.0", fmt::format("Command died with signal {}: \"{}\"{}", WTERMSIG(result.status), command,
                                              with_output));
    } else if (WEXITSTATUS(result.status) == 0) {
        return sent(std::string(sent_text) + (output.empty() ? "" : " (" + output + ")"));
    } else {
        int status = WEXITSTATUS(result.status);
        const Meaning* meaning = nullptr;
        for (const auto& known : kMeanings)
            if (known.status == status) meaning = &known;
        if (!meaning) {
            answer =
                bounced("5.3.0", fmt::format("Command died with status {}: \"{}\"{}", status, command, with_output));
        } else if (auto dsn = leading_dsn(output); !dsn.empty() && (dsn[0] == '4' || dsn[0] == '5')) {
            std::string text = output.substr(dsn.size());
            while (!text.empty() && text.front() == ' ') text.erase(0, 1);
            answer = failed(std::string(dsn), text.empty() ? meaning->text : text);
        } else {
            answer = failed(meaning->dsn, meaning->text + with_output);
        }
    }
    answer.diagnostic = "x-unix; " + (output.empty() ? answer.text : output);
    return answer;
}

}   // namespace postcot::queued
