#include "libproto/login/service.h"

#include <signal.h>

#include "libproto/login/parent.h"
#include "libproto/login/tls_context.h"
#include "libproto/login/user_log.h"

namespace postcot::login {

namespace {

// log_path: empty or "syslog" is syslog; syslog_facility has Dovecot's default "mail".
log::Options log_options(const config::DovecotConf& conf, const std::string& name, bool debug) {
    log::Options options;
    options.ident = "dovecot";
    options.dialect = log::Dialect::kDovecot;
    options.prefix = name + ": ";
    std::string path = conf.str("log_path");
    using Kind = log::Destination::Kind;
    if (path.empty() || path == "syslog")
        options.destination.kind = Kind::kSyslog;
    else if (path == "/dev/stderr" || path == "/dev/stdout")
        options.destination.kind = Kind::kStderr;
    else {
        options.destination.kind = Kind::kFile;
        options.destination.path = path;
    }
    options.debug = debug;
    return options;
}

}   // namespace

int run_service(const Protocol& protocol, const DaemonArgs& args) {
    signal(SIGPIPE, SIG_IGN);
    auto conf = config::DovecotConf::load(args.config_root + "/dovecot");
    if (!conf) die_of_configuration(conf.error().text);
    if (auto sessions = protocol.check(*conf); !sessions) die_of_configuration(sessions.error().text);
    if (args.check_only) {
        if (auto tls = check_tls(*conf, protocol.name); !tls) log::fatal("{}", tls.error().text);
        return 0;
    }
    log::open(log_options(*conf, protocol.name, args.verbose));
    set_process_prefix(protocol.name + ": ");
    for (const auto& warning : conf->warnings()) log::warning("{}", warning);
    Parent parent(protocol, args.config_root, std::move(*conf));
    auto prepared = parent.prepare();
    if (!prepared) log::fatal("{}", prepared.error().text);
    return parent.run();
}

}   // namespace postcot::login
