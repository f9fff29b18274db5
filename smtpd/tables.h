// The lookup tables of one service, opened in the worker that uses them (LMDB environments do not survive a fork).
#pragma once

#include <memory>

#include "libproto/address/expand.h"
#include "libproto/address/resolve.h"
#include "libproto/address/validate.h"
#include "libproto/error.h"
#include "libproto/table/table.h"
#include "smtpd/service.h"

namespace postcot::smtpd {

struct Tables {
    std::shared_ptr<const address::Resolver> resolver;
    std::shared_ptr<const address::Cleanup> cleanup;
    std::shared_ptr<const address::Validator> validator;
    std::shared_ptr<const address::Cleanup> header_rules;   // of the cleanup service, for header addresses
    table::MatchList my_networks;
    table::MatchList limit_exceptions;          // smtpd_client_event_limit_exceptions
    table::MatchList bare_newline_exclusions;   // smtpd_forbid_bare_newline_exclusions
    table::MatchList sasl_exceptions;           // smtpd_sasl_exceptions_networks
    table::MatchList sasl_mechanisms;           // smtpd_sasl_mechanism_filter
    table::MatchList fast_flush_domains;        // who may ETRN
    table::Maps sender_login;                   // smtpd_sender_login_maps
    table::Maps discard_keywords;               // smtpd_discard_ehlo_keyword_address_maps
    table::Maps milters;                        // smtpd_milter_maps
    // local_header_rewrite_clients
    bool rewrite_inet_interfaces = false, rewrite_mynetworks = false, rewrite_sasl = false;

    // Errors name the service and the parameter.
    static Expected<std::shared_ptr<const Tables>> open(const Service& service);
};

}   // namespace postcot::smtpd
