// The lines that log analysers look for, in Postfix's exact shape.
#pragma once

#include <string_view>

#include "smtpd/context.h"
#include "smtpd/restrictions/restrictions.h"

namespace postcot::smtpd {

// "NOQUEUE: reject: RCPT from host[ip]: 554 5.7.1 <a@b>: Relay access denied; from=<x> to=<a@b> proto=ESMTP helo=<h>". `verb`: the SMTP
// command under way ("CONNECT", "HELO", "MAIL", "RCPT", "DATA", "END-OF-MESSAGE").
void log_refusal(const Context& c, std::string_view kind, std::string_view verb, const Verdict& v);
void log_refusal(const Context& c, std::string_view kind, Stage stage, const Verdict& v);
void log_refusal(const Context& c, std::string_view verb, const Error& refusal);
// "NOQUEUE: hold: RCPT from ...: <a@b>: ... triggers HOLD action; from=..."
void log_action(const Context& c, std::string_view kind, Stage stage, std::string_view text);
void log_action(const Context& c, std::string_view kind, std::string_view verb, std::string_view text);

}   // namespace postcot::smtpd
