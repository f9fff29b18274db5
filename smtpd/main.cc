// NAME
//     smtpd - SMTP and LMTP server
//
// SYNOPSIS
//     smtpd [-c ROOT] [-t] [-v]
//     smtpd -S [-c DIR] [-v]
//
// DESCRIPTION
//     Serves every master.cf line whose command is smtpd (ports 25, 587, 465 ...), with that line's "-o name=value" overrides. A line whose
//     command is lmtpd is served with LMTP: LHLO, and after the message one reply for each recipient. It is an extension of ours; for example
//
//         127.0.0.1:2024  inet  n  -  n  -  -  lmtpd
//
//     smtpd takes connections in as many worker processes as there are CPUs. Mail goes to queued(8) over $queue_directory/private/intake, and
//     the client is told "250 2.0.0 Ok: queued as ..." only after queued has it on disk. Passwords are checked by authd(8), or by a real
//     Dovecot, at smtpd_sasl_path. smtpd itself writes nothing but its log.
//
//     smtpd stays in the foreground. SIGTERM: no new connections; messages under way are finished, idle clients get 421. SIGHUP: reads the
//     configuration again; when it has an error, says so and keeps the old one.
//
//     With -S ("sendmail -bs") it speaks SMTP on standard input and output instead, once: with the caller's rights, without AUTH, STARTTLS and
//     access restrictions. Mail goes to postdrop(1), so that it is taken while queued is down.
//
// PROTOCOL
//     RFC 5321 (SMTP), 2033 (LMTP), 1870 (SIZE), 1985 (ETRN), 2034 (ENHANCEDSTATUSCODES), 2920 (PIPELINING), 3030 (CHUNKING), 3207
//     (STARTTLS), 3461 (DSN), 4954 (AUTH), 6152 (8BITMIME), 6531 (SMTPUTF8), 7505 (null MX), 8314 (implicit TLS).
//
// PRIVILEGES
//     The parent opens the listening sockets and reads no network input. Workers open tables and certificates, become $mail_owner, and enter a
//     sandbox (no_new_privs, seccomp, and where the kernel has Landlock a file system that cannot be written) before they read their first octet.
//
// DIAGNOSTICS
//     Logs to $maillog_file or syslog(3), in Postfix's words. Problems with the configuration are fatal at start and name file, line,
//     service and parameter.
//
// CONFIGURATION
//     ROOT/postfix/main.cf, ROOT/postfix/master.cf (default ROOT: /etc).
//
// SEE ALSO
//     queued(8), authd(8), postconf(5), master(5), access(5)
#include <netdb.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <thread>

#include "libproto/runtime/daemon.h"
#include "libproto/runtime/log.h"
#include "libproto/runtime/loop.h"
#include "libproto/runtime/net.h"
#include "libproto/runtime/sandbox.h"
#include "libproto/runtime/supervisor.h"
#include "smtpd/limits.h"
#include "smtpd/log_destination.h"
#include "smtpd/service.h"
#include "smtpd/stand_alone.h"
#include "smtpd/worker.h"

namespace postcot::smtpd {
namespace {

constexpr Millis kStopPatience{10'000};   // for messages under way

using SocketKey = std::string;   // "address:port" or a path

Expected<uint16_t> port_number(const std::string& port) {
    if (!port.empty() && port.find_first_not_of("0123456789") == std::string::npos) {
        const long n = std::strtol(port.c_str(), nullptr, 10);
        if (n > 0 && n < 65536) return static_cast<uint16_t>(n);
        return fail(EINVAL, "bad port " + port);
    }
    const servent* entry = getservbyname(port.c_str(), "tcp");
    if (!entry) {
        // In every /etc/services, but a minimal root may have none.
        if (port == "smtp") return uint16_t{25};
        if (port == "submission") return uint16_t{587};
        if (port == "submissions" || port == "smtps") return uint16_t{465};
        return fail(EINVAL, "unknown service " + port + " in master.cf");
    }
    return ntohs(static_cast<uint16_t>(entry->s_port));
}

// Which addresses an inet service listens on: its own host part, or inet_interfaces with inet_protocols.
std::vector<std::string> listen_addresses(const std::string& host, const config::MainCf& main) {
    bool four = false;
    bool six = false;
    for (const auto& protocol : main.list("inet_protocols")) {
        four = four || protocol == "ipv4" || protocol == "all";
        six = six || protocol == "ipv6" || protocol == "all";
    }
    std::vector<std::string> names;
    if (!host.empty()) {
        names.push_back(host);
    } else {
        names = main.list("inet_interfaces");
    }
    std::vector<std::string> out;
    auto add = [&](const std::string& address) {
        const bool is_six = address.find(':') != std::string::npos;
        if ((is_six ? six : four) && std::find(out.begin(), out.end(), address) == out.end()) out.push_back(address);
    };
    for (auto name : names) {
        if (name == "all") {
            add("0.0.0.0");
            add("::");
            continue;
        }
        if (name == "loopback-only") {
            add("127.0.0.1");
            add("::1");
            continue;
        }
        if (name.size() > 2 && name.front() == '[' && name.back() == ']') name = name.substr(1, name.size() - 2);
        addrinfo hints{};
        hints.ai_socktype = SOCK_STREAM;
        addrinfo* list = nullptr;
        if (getaddrinfo(name.c_str(), nullptr, &hints, &list) != 0) continue;
        for (auto* i = list; i; i = i->ai_next) {
            char text[NI_MAXHOST];
            if (getnameinfo(i->ai_addr, i->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0) add(text);
        }
        freeaddrinfo(list);
    }
    return out;
}

// Listening sockets live in the parent and outlive reloads: no connection is refused in between.
class Sockets {
  public:
    Sockets() {
        for (auto& socket : activated_sockets()) {
            const auto key = socket.local.is_unix()
                                 ? socket.name
                                 : socket.local.address() + ':' + std::to_string(socket.local.port());
            open_[key] = std::make_shared<UniqueFd>(std::move(socket.fd));
        }
    }

    Expected<std::vector<Endpoint>> listen(const Configuration& configuration) {
        std::vector<Endpoint> out;
        std::map<SocketKey, std::shared_ptr<UniqueFd>> wanted;
        for (size_t i = 0; i < configuration.services.size(); ++i) {
            const auto& service = configuration.services[i];
            const auto& entry = configuration.entries[i];
            if (entry.type != "inet") {
                auto socket = unix_socket(entry, service->main, wanted);
                if (!socket) return fail(std::move(socket.error()));
                out.push_back({service, *socket});
                continue;
            }
            const auto [host, port_name] = entry.host_port();
            auto port = port_number(port_name);
            if (!port) return fail(std::move(port.error()));
            const auto addresses = listen_addresses(host, service->main);
            size_t bound = 0;
            for (const auto& address : addresses) {
                auto socket = tcp_socket(address, *port, wanted);
                if (!socket) {
                    // A host without IPv6 still has "all" protocols configured.
                    const int code = socket.error().code;
                    if (address == "::" && (code == EAFNOSUPPORT || code == EADDRNOTAVAIL)) continue;
                    return fail(std::move(socket.error()));
                }
                out.push_back({service, *socket});
                ++bound;
            }
            if (bound == 0) return fail(EADDRNOTAVAIL, "service " + entry.name + ": no address to listen on");
        }
        open_ = std::move(wanted);
        return out;
    }

  private:
    using Map = std::map<SocketKey, std::shared_ptr<UniqueFd>>;

    Expected<std::shared_ptr<UniqueFd>> tcp_socket(const std::string& address, uint16_t port, Map& wanted) {
        const auto key = address + ':' + std::to_string(port);
        if (wanted.count(key)) return fail(EINVAL, "master.cf: two services on " + key);
        if (auto at = open_.find(key); at != open_.end()) return wanted[key] = at->second;
        auto where = SockAddr::ip(address, port);
        if (!where) return fail(std::move(where.error()));
        auto fd = listen_tcp(*where);
        if (!fd)
            return fail(fd.error().code, "bind " + address + " port " + std::to_string(port) + ": " + fd.error().text);
        return wanted[key] = std::make_shared<UniqueFd>(std::move(*fd));
    }

    Expected<std::shared_ptr<UniqueFd>> unix_socket(const config::MasterService& entry, const config::MainCf& main,
                                                    Map& wanted) {
        auto path = entry.name;
        if (path.empty() || path.front() != '/') {
            path = main.str("queue_directory") + (entry.is_private ? "/private/" : "/public/") + entry.name;
        }
        if (auto at = open_.find(path); at != open_.end()) return wanted[path] = at->second;
        auto fd = listen_unix(path, 0666);
        if (!fd) return fail(fd.error().code, "listen on " + path + ": " + fd.error().text);
        return wanted[path] = std::make_shared<UniqueFd>(std::move(*fd));
    }

    Map open_;
};

int worker_count() {
    const auto cpus = static_cast<int>(std::thread::hardware_concurrency());
    return std::clamp(cpus, 1, ClientCounters::kMaxWorkers);
}

// What a generation of workers was made from. Replaced as a whole on reload.
struct Generation {
    int number = 0;
    Configuration configuration;
    std::vector<Endpoint> endpoints;
};

int worker_main(const Generation& generation, ClientCounters& counters, int index) {
    signal(SIGPIPE, SIG_IGN);
    // Old workers still count their clients: a new generation counts in slots of its own.
    Worker worker(generation.configuration, counters, generation.number * worker_count() + index);
    auto opened = worker.open(generation.endpoints);
    if (!opened) log::die(opened.error().text);

    Sandbox sandbox;
    Account account;
    if (running_as_root()) {
        auto found = find_account(generation.configuration.main.str("mail_owner"));
        if (!found) log::die("mail_owner: " + found.error().text);
        account = std::move(*found);
        sandbox.account = &account;
    }
    sandbox.filesystem = true;
    sandbox.may_read = {"/"};
    auto entered = enter_sandbox(sandbox);
    if (!entered) log::die("sandbox: " + entered.error().text);
    return worker.run();
}

int run(int argc, char** argv) {
    std::vector<char*> words(argv, argv + argc);
    const auto stand_alone =
        std::remove_if(words.begin() + 1, words.end(), [](const char* word) { return std::string_view(word) == "-S"; });
    const bool alone = stand_alone != words.end();
    words.erase(stand_alone, words.end());
    const auto arguments = parse_daemon_args(static_cast<int>(words.size()), words.data(),
                                             "usage: smtpd [-c ROOT] [-t] [-v] | smtpd -S [-c DIR] [-v]");
    signal(SIGPIPE, SIG_IGN);
    if (alone) return run_stand_alone(arguments.config_root, arguments.verbose);
    log::Options options;
    options.ident = "postfix/smtpd";
    options.debug = arguments.verbose;
    log::open(options);   // to stderr until the configuration says where

    auto configuration = load_configuration(arguments.config_root);
    if (!configuration) die_of_configuration(configuration.error().text);
    if (arguments.check_only) {
        Loop loop;
        auto checked = check_configuration(*configuration);
        if (!checked) log::die(checked.error().text);
        return 0;
    }
    options.ident = configuration->main.str("syslog_name") + "/smtpd";
    options.destination = log_destination(configuration->main);
    log::open(options);
    auto master = config::MasterCf::load(configuration->main.directory(), configuration->main);
    for (const auto& warning : configuration->main.warnings(master ? &*master : nullptr)) log::warning("{}", warning);

    Loop loop;
    auto checked = check_configuration(*configuration);
    if (!checked) die_of_configuration(checked.error().text);
    Sockets sockets;
    auto endpoints = sockets.listen(*configuration);
    if (!endpoints) log::die(endpoints.error().text);

    ClientCounters counters;
    auto generation =
        std::make_shared<const Generation>(Generation{0, std::move(*configuration), std::move(*endpoints)});
    Supervisor workers(log::Dialect::kPostfix);
    for (int index = 0; index < worker_count(); ++index) {
        Kept worker;
        worker.name = "smtpd";
        worker.start = [&generation, &counters, index] {
            // The generation that is current at the fork.
            ChildDescriptors sockets_of_it;
            for (const auto& endpoint : generation->endpoints) sockets_of_it.keep.push_back(endpoint.socket->get());
            return fork_child([&generation, &counters, index] { return worker_main(*generation, counters, index); },
                              std::move(sockets_of_it));
        };
        workers.keep(std::move(worker));
    }
    notify_ready();

    loop.on_signal(SIGHUP, [&] {
        log::reopen();
        auto next = load_configuration(arguments.config_root);
        Expected<void> fine;
        if (next) fine = check_configuration(*next);
        if (!next || !fine) {
            log::error("reload: {}; the old configuration stays in use", next ? fine.error().text : next.error().text);
            return;
        }
        auto listening = sockets.listen(*next);
        if (!listening) {
            log::error("reload: {}; the old configuration stays in use", listening.error().text);
            return;
        }
        notify_reloading();
        generation = std::make_shared<const Generation>(
            Generation{generation->number + 1, std::move(*next), std::move(*listening)});
        workers.renew(SIGHUP);
        notify_ready();
    });
    loop.on_signal(SIGTERM, [&] { loop.stop(); });
    loop.on_signal(SIGINT, [&] { loop.stop(); });
    loop.run();
    notify_stopping();
    loop.run_until_complete(workers.stop(SIGTERM, kStopPatience));
    return 0;
}

}   // namespace
}   // namespace postcot::smtpd

int main(int argc, char** argv) { return postcot::smtpd::run(argc, argv); }
