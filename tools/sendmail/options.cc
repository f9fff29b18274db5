#include "tools/sendmail/options.h"

#include <strings.h>
#include <unistd.h>

#include <cstring>
#include <sstream>

namespace postcot::tools {

namespace {

uint8_t parse_notify(const std::string& text, std::string& error) {
    uint8_t out = 0;
    std::istringstream words(text);
    for (std::string word; std::getline(words, word, ',');) {
        if (strcasecmp(word.c_str(), "never") == 0) {
            out |= ipc::kNotifyNever;
        } else if (strcasecmp(word.c_str(), "success") == 0) {
            out |= ipc::kNotifySuccess;
        } else if (strcasecmp(word.c_str(), "failure") == 0) {
            out |= ipc::kNotifyFailure;
        } else if (strcasecmp(word.c_str(), "delay") == 0) {
            out |= ipc::kNotifyDelay;
        } else {
            error = "bad -N option value: " + text;
        }
    }
    if (out == 0 || ((out & ipc::kNotifyNever) && out != ipc::kNotifyNever)) error = "bad -N option value: " + text;
    return out;
}

}   // namespace

constexpr const char* kLetters = "+A:B:C:D:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:r:q:tvx";

SendmailOptions parse_sendmail_options(int argc, char** argv) {
    SendmailOptions out;
    std::string name = argc > 0 ? argv[0] : "sendmail";
    name = name.substr(name.rfind('/') + 1);
    if (name == "mailq") out.mode = SendmailOptions::Mode::kListQueue;
    if (name == "newaliases") out.mode = SendmailOptions::Mode::kNewaliases;
    opterr = 0;
    for (int option; out.error.empty() && (option = ::getopt(argc, argv, kLetters)) != -1;) {
        std::string value = optarg ? optarg : "";
        switch (option) {
            case 'B':
                if (strcasecmp(optarg, "8bitmime") == 0) {
                    out.body = ipc::BodyType::k8BitMime;
                } else if (strcasecmp(optarg, "7bit") == 0) {
                    out.body = ipc::BodyType::k7Bit;
                } else {
                    out.error = "bad -B option value: " + value;
                }
                break;
            case 'C': {   // a file in sendmail's days: its folder is meant then
                out.config = value;
                auto slash = value.rfind('/');
                if (slash != std::string::npos && value.size() > 3 && value.compare(value.size() - 3, 3, ".cf") == 0)
                    out.config = value.substr(0, slash);
                break;
            }
            case 'F': out.full_name = value; break;
            case 'I': out.mode = SendmailOptions::Mode::kNewaliases; break;
            case 'N': out.notify = parse_notify(value, out.error); break;
            case 'R':
                if (strcasecmp(optarg, "full") == 0) {
                    out.ret = ipc::Ret::kFull;
                } else if (strcasecmp(optarg, "hdrs") == 0) {
                    out.ret = ipc::Ret::kHeaders;
                } else {
                    out.error = "bad -R option value: " + value;
                }
                break;
            case 'V':
                // Postfix: "-XV" style VERP came first; an envelope id is what everybody means.
                out.envid = value;
                break;
            case 'b':
                if (value == "m") {
                    out.mode = SendmailOptions::Mode::kSubmit;
                } else if (value == "p") {
                    out.mode = SendmailOptions::Mode::kListQueue;
                } else if (value == "s") {
                    out.mode = SendmailOptions::Mode::kSmtp;
                } else if (value == "i") {
                    out.mode = SendmailOptions::Mode::kNewaliases;
                } else if (value == "v") {
                    out.verify = true;
                } else {
                    out.error = "unsupported: -b" + value +
                                (value == "d" || value == "D" ? ": use \"postfix start\" instead" : "");
                }
                break;
            case 'f':
            case 'r': out.sender = value; break;
            case 'i': out.dot_ends = false; break;
            case 'o':
                if (value == "i" || value == "iy" || value == "itrue") out.dot_ends = false;
                if (value.rfind("d", 0) == 0) break;
                if (value.rfind("A", 0) == 0) break;
                break;
            case 'q':
                if (value.rfind("I", 0) == 0) {
                    out.mode = SendmailOptions::Mode::kFlushMessage;
                    out.argument = value.substr(1);
                } else if (value.rfind("R", 0) == 0) {
                    out.mode = SendmailOptions::Mode::kFlushSite;
                    out.argument = value.substr(1);
                } else if (!value.empty() && value[0] >= '0' && value[0] <= '9') {
                    out.error = "-q" + value + ": use \"postfix start\" instead";
                } else {
                    out.error = "-q" + value + " is not supported";
                }
                break;
            case 't': out.extract_recipients = true; break;
            case '?':
                if (optopt == 'q') {   // plain -q
                    out.mode = SendmailOptions::Mode::kFlush;
                    break;
                }
                out.error =
                    "usage: sendmail [options] [recipient ...]: " +
                    std::string(std::strchr(kLetters, optopt) ? "argument missing after -" : "invalid option: -") +
                    static_cast<char>(optopt);
                break;
            default:   // -A -D -G -L -O -U -X -c -e -h -m -n -p -v -x: accepted, as Postfix does
                break;
        }
    }
    if (out.error.empty() && out.verify) {
        if (out.extract_recipients) out.error = "-t option cannot be used with -bv";
        if (out.notify) out.error = "-N option cannot be used with -bv";
        if (out.ret != ipc::Ret::kUnset) out.error = "-R option cannot be used with -bv";
    }
    for (int i = optind; i < argc; ++i) out.recipients.emplace_back(argv[i]);
    return out;
}

}   // namespace postcot::tools
