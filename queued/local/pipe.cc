#include "queued/local/pipe.h"

#include <fmt/format.h>
#include <paths.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "libproto/runtime/log.h"
#include "libproto/runtime/sandbox.h"
#include "libproto/smtp/path.h"
#include "queued/local/headers.h"
#include "queued/local/macros.h"
#include "queued/local/results.h"

namespace postcot::queued {

namespace {

struct Attributes {
    std::string flags, user, group, directory, null_sender = "MAILER-DAEMON";
    bool crlf = false;
    uint64_t size = 0;
    std::vector<std::string> argv;
    std::string wrong;
};

// {name = value} and name=value; argv= takes the rest.
Attributes parse_attributes(const std::vector<std::string>& arguments) {
    Attributes out;
    for (size_t i = 0; i < arguments.size(); ++i) {
        std::string text = arguments[i];
        if (text.size() >= 2 && text.front() == '{' && text.back() == '}') text = text.substr(1, text.size() - 2);
        size_t equals = text.find('=');
        std::string name = text.substr(0, equals);
        std::string value = equals == std::string::npos ? "" : text.substr(equals + 1);
        if (name == "flags") {
            out.flags = value;
        } else if (name == "user") {
            out.user = value.substr(0, value.find(':'));
            if (value.find(':') != std::string::npos) out.group = value.substr(value.find(':') + 1);
        } else if (name == "directory") {
            out.directory = value;
        } else if (name == "eol") {
            out.crlf = value == "\\r\\n";
        } else if (name == "null_sender") {
            out.null_sender = value;
        } else if (name == "size") {
            out.size = std::strtoull(value.c_str(), nullptr, 10);
        } else if (name == "argv") {
            if (!value.empty()) out.argv.push_back(value);
            out.argv.insert(out.argv.end(), arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1, arguments.end());
            break;
        } else {
            out.wrong = "unsupported pipe attribute: " + name;
        }
    }
    for (char flag : out.flags)
        if (std::string_view("BDFORXhqu.>").find(flag) == std::string_view::npos)
            out.wrong = fmt::format("unsupported pipe flag: {}", flag);
    return out;
}

bool per_recipient(std::string_view word) {
    for (std::string_view name : {"recipient", "mailbox", "user", "extension", "domain", "original_recipient"})
        for (std::string form : {"${" + std::string(name), "$(" + std::string(name), "$" + std::string(name)}) {
            size_t at = word.find(form);
            if (at == std::string_view::npos) continue;
            size_t end = at + form.size();
            if (end == word.size() || !(isalnum(static_cast<unsigned char>(word[end])) || word[end] == '_'))
                return true;
        }
    return false;
}

// Flags u and h.
std::string folded(const std::string& address, bool local, bool domain) {
    const size_t at = std::min(address.rfind('@'), address.size());
    return (local ? lower_case(address.substr(0, at)) : address.substr(0, at)) +
           (domain ? lower_case(address.substr(at)) : address.substr(at));
}

}   // namespace

Decision decide_pipe(const ipc::Deliver& deliver, const config::MasterService& service, const config::MainCf& main) {
    Attributes attributes = parse_attributes(service.arguments);
    auto broken = [&](const std::string& why) {
        log::warning("master.cf, service {}: {}", service.name, why);
        return decided(deferred("4.3.5", "mail system configuration error"));
    };
    if (!attributes.wrong.empty()) return broken(attributes.wrong);
    if (attributes.argv.empty()) return broken("missing argv= attribute");
    if (attributes.size > 0 && deliver.size() > attributes.size)
        return decided(bounced("5.2.3", fmt::format("message size {} exceeds size limit {} of pipe service {}",
                                                    deliver.size(), attributes.size, service.name)));
    auto has = [&](char flag) { return attributes.flags.find(flag) != std::string::npos; };

    Action action;
    action.kind = Action::Kind::kPipe;
    action.flags = attributes.flags;
    action.directory = attributes.directory;
    action.crlf = attributes.crlf;
    if (running_as_root()) {
        if (attributes.user.empty()) return broken("missing user= attribute");
        auto account = find_account(attributes.user, attributes.group);
        if (!account) return broken(account.error().text);
        if (account->uid == 0) return broken("user= command-line attribute specifies root privileges");
        action.uid = account->uid;
        action.gid = account->gid;
    } else {
        action.uid = getuid();
        action.gid = getgid();
    }
    if ((has('D') || has('O')) && deliver.recipients.size() != 1)
        return broken("flags D and O need " + service.name + "_destination_recipient_limit = 1");
    if (has('D')) {
        action.delivered_to = deliver.recipients.front().recipient.address;
        if (has_delivered_to(deliver.head, action.delivered_to))
            return decided(bounced("5.4.6", "mail forwarding loop for " + action.delivered_to));
    }

    Macros common;
    common["client_address"] = deliver.client_address;
    common["client_helo"] = deliver.helo_name;
    common["client_hostname"] = deliver.client_name;
    common["client_port"] = deliver.client_port;
    common["client_protocol"] = deliver.protocol;
    common["envid"] = deliver.envid;
    common["nexthop"] = has('h') ? lower_case(deliver.nexthop) : deliver.nexthop;
    common["queue_id"] = deliver.queue_id;
    common["sasl_method"] = deliver.sasl_method;
    common["sasl_sender"] = deliver.sasl_sender;
    common["sasl_username"] = deliver.sasl_username;
    const auto quoted = [&](const std::string& address) { return has('q') ? smtp::to_external(address) : address; };
    common["sender"] = deliver.sender.empty() ? attributes.null_sender : quoted(deliver.sender);
    common["size"] = std::to_string(deliver.size());
    for (const auto& word : attributes.argv) {
        if (!per_recipient(word)) {
            action.argv.push_back(expand_macros(word, common, ""));
            continue;
        }
        for (const auto& entry : deliver.recipients) {
            SplitAddress address = split_address(entry.recipient.address);
            if (has('u')) address.local = lower_case(address.local);
            SplitLocal split = split_local(address.local, main.str("recipient_delimiter"));
            Macros macros = common;
            // split_address() folds the domain: as given, then.
            if (!has('h') && !address.domain.empty())
                address.domain = entry.recipient.address.substr(entry.recipient.address.rfind('@') + 1);
            macros["recipient"] = quoted(folded(entry.recipient.address, has('u'), has('h')));
            macros["mailbox"] = address.local;
            macros["user"] = split.user;
            macros["extension"] = split.extension;
            macros["domain"] = address.domain;
            const auto& original =
                entry.recipient.original.empty() ? entry.recipient.address : entry.recipient.original;
            macros["original_recipient"] = quoted(folded(original, has('u'), has('h')));
            action.argv.push_back(expand_macros(word, macros, ""));
        }
    }
    action.environment.push_back(std::string("PATH=") + _PATH_DEFPATH);
    for (const auto& name : main.list("export_environment")) {
        if (name.find('=') != std::string::npos)
            action.environment.push_back(name);
        else if (const char* value = std::getenv(name.c_str()))
            action.environment.push_back(name + "=" + value);
    }
    if (action.directory.empty()) action.directory = main.str("queue_directory");
    ChildRights rights;
    rights.uid = action.uid;
    rights.gid = action.gid;
    rights.runs_programs = true;
    return carried_out_by(rights, std::move(action));
}

}   // namespace postcot::queued
