#include "smtpd/tables.h"

#include <cerrno>

namespace postcot::smtpd {

Expected<std::shared_ptr<const Tables>> Tables::open(const Service& service) {
    const auto& main = service.main;
    auto out = std::make_shared<Tables>();
    auto where = [&](Error e) {
        e.text = "service " + service.name + ": " + e.text;
        return fail(std::move(e));
    };
    auto resolver = address::Resolver::open(main);
    if (!resolver) return where(std::move(resolver.error()));
    out->resolver = *resolver;
    auto cleanup = address::Cleanup::open(main, *resolver);
    if (!cleanup) return where(std::move(cleanup.error()));
    out->cleanup = *cleanup;
    auto validator = address::Validator::open(main, *cleanup);
    if (!validator) return where(std::move(validator.error()));
    out->validator = *validator;
    auto header_rules = address::Cleanup::open(service.cleanup_main, *resolver);
    if (!header_rules) return where(std::move(header_rules.error()));
    out->header_rules = *header_rules;

    struct List {
        const char* name;
        table::MatchList* target;
    };
    for (const auto& l :
         {List{"mynetworks", &out->my_networks}, List{"smtpd_client_event_limit_exceptions", &out->limit_exceptions},
          List{"smtpd_forbid_bare_newline_exclusions", &out->bare_newline_exclusions},
          List{"smtpd_sasl_exceptions_networks", &out->sasl_exceptions},
          List{"fast_flush_domains", &out->fast_flush_domains},
          List{"smtpd_sasl_mechanism_filter", &out->sasl_mechanisms}}) {
        auto list = table::MatchList::open(main.str(l.name), main, l.name);
        if (!list) return where(std::move(list.error()));
        *l.target = std::move(*list);
    }
    struct Map {
        const char* name;
        table::Maps* target;
    };
    for (const auto& m : {Map{"smtpd_sender_login_maps", &out->sender_login},
                          Map{"smtpd_discard_ehlo_keyword_address_maps", &out->discard_keywords},
                          Map{"smtpd_milter_maps", &out->milters}}) {
        auto maps = table::Maps::open(main.str(m.name), main, m.name);
        if (!maps) return where(std::move(maps.error()));
        *m.target = std::move(*maps);
    }
    for (const auto& word : main.list("local_header_rewrite_clients")) {
        if (word == "permit_inet_interfaces") {
            out->rewrite_inet_interfaces = true;
        } else if (word == "permit_mynetworks") {
            out->rewrite_mynetworks = true;
        } else if (word == "permit_sasl_authenticated") {
            out->rewrite_sasl = true;
        } else if (word.rfind("static:all", 0) == 0) {
            out->rewrite_inet_interfaces = out->rewrite_mynetworks = out->rewrite_sasl = true;
        } else {
            return where(Error{EINVAL, {}, "local_header_rewrite_clients: \"" + word + "\" is not supported"});
        }
    }
    return std::shared_ptr<const Tables>(std::move(out));
}

}   // namespace postcot::smtpd
