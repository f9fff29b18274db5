// VRFY, ETRN, RSET, HELP, QUIT, and what is none of ours.
#include "libproto/runtime/loop_inl.h"
#include "libproto/smtp/text.h"
#include "smtpd/log_lines.h"
#include "smtpd/session.h"

namespace postcot::smtpd {

// RFC 5321 §3.5.3: 252, for a name that is plausible; nothing is told that RCPT would not tell.
Task<void> Session::on_vrfy(std::string_view arguments) {
    if (service_.disable_vrfy) {
        reply(502, "5.5.1", "VRFY command is disabled");
        co_return;
    }
    if (c_.helo_name.empty() && service_.helo_required) {
        reply(503, "5.5.1", "Error: send HELO/EHLO first");
        co_return;
    }
    if (arguments.empty()) {
        reply(501, "5.5.4", "Syntax: VRFY address [SMTPUTF8]");
        co_return;
    }
    smtp::PathOptions options;
    options.smtputf8 = service_.smtputf8 && smtp::asks_smtputf8(arguments);   // RFC 6531 §3.7.4.2
    options.min_user = service_.min_user;
    std::string_view rest;
    auto path = smtp::parse_path(arguments, smtp::PathKind::kForward, options, rest);
    if (!path) {
        reply(path.error());
        co_return;
    }
    if (!rest.empty() && !smtp::equals_ignoring_case(rest, "SMTPUTF8")) {
        reply(501, "5.5.4", "Syntax: VRFY address [SMTPUTF8]");
        co_return;
    }
    choose_milter();
    if (auto missing = unfiltered(); missing.refused()) {
        log_refusal(c_, "milter-reject", "VRFY", missing);
        reply(missing.code, missing.enhanced, missing.text);
        co_return;
    }
    const auto saved = c_.recipient;
    c_.recipient = path->internal();
    auto v = co_await runtime_.restrictions->at_rcpt(c_);
    if (v.refused()) {
        refuse("VRFY", v);
    } else {
        reply(252, "2.0.0", path->external());
    }
    c_.recipient = saved;
}

// RFC 1985.
Task<void> Session::on_etrn(std::string_view arguments) {
    if (discard_keywords_ & kEtrn) {
        reply(502, "5.5.1", "Error: command not implemented");
        co_return;
    }
    if (c_.helo_name.empty() && service_.helo_required) {
        reply(503, "5.5.1", "Error: send HELO/EHLO first");
        co_return;
    }
    if (c_.in_transaction) {
        reply(503, "5.5.1", "Error: MAIL transaction in progress");
        co_return;
    }
    auto site = smtp::next_word(arguments);
    if (site.empty() || !smtp::trim(arguments).empty()) {
        reply(500, "", "Syntax: ETRN domain");
        co_return;
    }
    if (site.front() == '@' || site.front() == '#') site.remove_prefix(1);
    if (!smtp::is_domain_syntax(site, false) && smtp::parse_address_literal(site).empty()) {
        reply(501, "5.1.3", "Error: invalid parameter syntax");
        co_return;
    }
    if (service_.stand_alone) {
        log_warning("do not use ETRN in \"sendmail -bs\" mode");
        reply(458, "", "Unable to queue messages");
        co_return;
    }
    c_.etrn_domain = site;
    auto v = co_await runtime_.restrictions->at_etrn(c_);
    if (v.refused()) {
        refuse("ETRN", v);
        co_return;
    }
    auto allowed = runtime_.tables->fast_flush_domains.matches_domain(smtp::lower(c_.etrn_domain));
    if (!allowed || !*allowed) {
        log_warning("reject: ETRN " + c_.etrn_domain + "... from " + c_.client.name_address());
        reply(459, "", '<' + c_.etrn_domain + ">: service unavailable");
        co_return;
    }
    auto flushed = co_await worker_.queue().flush_site(c_.etrn_domain);
    if (flushed) {
        reply(250, "2.0.0", "Queuing started");
    } else {
        reply(flushed.error());
    }
}

void Session::on_rset(std::string_view arguments) {
    if (!arguments.empty()) {
        reply(501, "5.5.4", "Syntax: RSET");
        return;
    }
    reset_transaction();
    reply(250, "2.0.0", "Ok");
}

// RFC 5321 §4.1.1.8.
void Session::on_help() {
    reply_lines(214, {"2.0.0 Commands: EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY ETRN STARTTLS AUTH HELP",
                      "2.0.0 See RFC 5321 for their syntax"});
}

void Session::on_quit(std::string_view) {
    reply(221, "2.0.0", "Bye");
    end_ = End::kQuit;
}

void Session::on_unknown(const smtp::CommandLine& command) {
    // RFC 5321 §4.2.4: 502 for what the RFC knows and we do not do, 500 for what nobody knows.
    if (command.verb == smtp::Verb::kXclient || command.verb == smtp::Verb::kXforward) {
        reply(550, "5.7.0", "Error: insufficient authorization");   // smtpd_authorized_xclient_hosts is empty here
    } else if (command.verb == smtp::Verb::kExpn) {
        reply(502, "5.5.1", "Error: command not implemented");
    } else {
        reply(500, "5.5.2", "Error: command not recognized");
    }
}

}   // namespace postcot::smtpd
