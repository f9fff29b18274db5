#include "smtpd/stand_alone.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "libproto/ipc/postdrop.h"
#include "libproto/runtime/log.h"
#include "libproto/runtime/loop.h"
#include "libproto/runtime/net.h"
#include "smtpd/log_destination.h"
#include "smtpd/postdrop_submitter.h"
#include "smtpd/service.h"
#include "smtpd/worker.h"

namespace postcot::smtpd {
namespace {

// Standard input and output may be files, terminals or two pipes, and belong to the caller, too: the loop, which wants one descriptor that it may
// make non-blocking, gets a socket, and two threads copy.
bool copy_some(int from, int to) {
    char buffer[16384];
    ssize_t n = ::read(from, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) return true;
    if (n <= 0) return false;
    for (ssize_t done = 0; done < n;) {
        const ssize_t written = ::write(to, buffer + done, static_cast<size_t>(n - done));
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        done += written;
    }
    return true;
}

// An ordinary user may not write the log file: the system's log then, if there is one.
log::Destination stand_alone_log(const config::MainCf& main) {
    auto out = log_destination(main);
    if (out.kind == log::Destination::Kind::kFile && ::access(out.path.c_str(), W_OK) != 0)
        out.kind = log::Destination::Kind::kSyslog;
    return out;
}

}   // namespace

int run_stand_alone(const std::string& directory, bool verbose) {
    ipc::open_standard_descriptors();   // or the session's socket would be where warnings go
    log::Options options;
    options.ident = "postfix/smtpd";
    options.debug = verbose;
    log::open(options);
    const bool below = ::access((directory + "/main.cf").c_str(), F_OK) != 0;
    auto main = config::MainCf::load(below ? directory + "/postfix" : directory);
    if (!main) log::die(main.error().text);
    options.ident = main->str("syslog_name") + "/smtpd";
    options.destination = stand_alone_log(*main);
    log::open(options);

    auto service = Service::make_stand_alone(*main);
    if (!service) log::die(service.error().text);
    auto pair = socket_pair();
    if (!pair) log::die(pair.error().text);
    const int outside = pair->second.get();
    ::fcntl(outside, F_SETFL, 0);   // the threads wait in read(2) and write(2)
    std::thread input([outside] {
        while (copy_some(STDIN_FILENO, outside)) {
        }
        ::shutdown(outside, SHUT_WR);
    });
    input.detach();   // it may wait for the caller for ever
    std::thread output([outside] {
        while (copy_some(outside, STDOUT_FILENO)) {
        }
        ::shutdown(outside, SHUT_RDWR);
    });

    Configuration configuration;
    configuration.main = *main;
    ClientCounters counters;
    Loop loop;
    PostdropSubmitter submitter(*main);
    Worker worker(configuration, counters, 0);
    worker.serve_one(*service, std::move(pair->first), submitter);
    output.join();
    ::_exit(0);   // not over the head of the thread that reads
}

}   // namespace postcot::smtpd
