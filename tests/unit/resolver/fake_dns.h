// A name server of a few records, in a process of its own, on 127.0.0.1 and a port of the kernel's choice.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace postcot {

class FakeDns {
  public:
    // Before start(). rdata in wire form.
    void add(const std::string& name, unsigned type, std::string rdata) {
        records_[{name, type}].push_back(std::move(rdata));
    }
    void a(const std::string& name, const std::string& address) {
        std::string rdata(4, '\0');
        inet_pton(AF_INET, address.c_str(), rdata.data());
        add(name, 1, rdata);
    }
    void aaaa(const std::string& name, const std::string& address) {
        std::string rdata(16, '\0');
        inet_pton(AF_INET6, address.c_str(), rdata.data());
        add(name, 28, rdata);
    }
    void mx(const std::string& name, unsigned preference, const std::string& host) {
        add(name, 15, std::string{static_cast<char>(preference >> 8), static_cast<char>(preference)} + wire(host));
    }
    void ptr(const std::string& name, const std::string& host) { add(name, 12, wire(host)); }
    void servfail(const std::string& name) { servfail_.insert(name); }
    void silent(const std::string& name) { silent_.insert(name); }

    // Starts, and makes resolvers that are opened from now on ask it.
    void start() {
        int fd = socket(AF_INET, SOCK_DGRAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
        socklen_t length = sizeof address;
        getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
        char folder[] = "/tmp/postcot-dns-XXXXXX";
        folder_ = mkdtemp(folder);
        std::ofstream(folder_ + "/resolv.conf") << "nameserver 127.0.0.1@" << ntohs(address.sin_port) << "\n";
        std::ofstream(folder_ + "/hosts") << "192.0.2.77 inhosts.example\n";
        setenv("POSTCOT_RESOLV_CONF", (folder_ + "/resolv.conf").c_str(), 1);
        setenv("POSTCOT_HOSTS", (folder_ + "/hosts").c_str(), 1);
        pid_ = fork();
        if (pid_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (;;) answer(fd);
        }
        close(fd);
    }
    ~FakeDns() {
        if (pid_ > 0) {
            kill(pid_, SIGKILL);
            waitpid(pid_, nullptr, 0);
            unlink((folder_ + "/resolv.conf").c_str());
            unlink((folder_ + "/hosts").c_str());
            rmdir(folder_.c_str());
        }
        unsetenv("POSTCOT_RESOLV_CONF");
        unsetenv("POSTCOT_HOSTS");
    }

    static std::string wire(const std::string& name) {
        std::string out;
        for (size_t at = 0; at < name.size();) {
            size_t dot = std::min(name.find('.', at), name.size());
            out += static_cast<char>(dot - at);
            out += name.substr(at, dot - at);
            at = dot + 1;
        }
        return out + '\0';
    }

  private:
    void answer(int fd) {
        char buffer[4096];
        sockaddr_in peer{};
        socklen_t length = sizeof peer;
        ssize_t n = recvfrom(fd, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&peer), &length);
        if (n < 17) return;
        std::string query(buffer, static_cast<size_t>(n));
        std::string name;
        size_t at = 12;
        while (at < query.size() && query[at] != 0) {
            auto label = static_cast<size_t>(static_cast<unsigned char>(query[at]));
            if (!name.empty()) name += '.';
            for (char c : query.substr(at + 1, label)) name += static_cast<char>(tolower(c));
            at += label + 1;
        }
        unsigned type = static_cast<unsigned char>(query[at + 1]) * 256u + static_cast<unsigned char>(query[at + 2]);
        if (silent_.count(name)) return;
        std::string reply = query.substr(0, at + 5);
        reply[2] = static_cast<char>(0x81);
        reply[3] = static_cast<char>(0x80);
        for (size_t i = 4; i < 12; ++i) reply[i] = 0;
        reply[5] = 1;
        bool known = false;
        for (const auto& [key, rdata] : records_) known = known || key.first == name;
        auto found = records_.find({name, type});
        if (servfail_.count(name)) {
            reply[3] = static_cast<char>(0x82);
        } else if (!known) {
            reply[3] = static_cast<char>(0x83);
        } else if (found != records_.end()) {
            reply[7] = static_cast<char>(found->second.size());
            for (const auto& rdata : found->second) {
                reply += std::string("\xc0\x0c", 2) + static_cast<char>(type >> 8) + static_cast<char>(type);
                reply += std::string("\x00\x01\x00\x00\x00\x3c", 6);
                reply += static_cast<char>(rdata.size() >> 8);
                reply += static_cast<char>(rdata.size());
                reply += rdata;
            }
        }
        sendto(fd, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&peer), length);
    }

    std::map<std::pair<std::string, unsigned>, std::vector<std::string>> records_;
    std::set<std::string> servfail_, silent_;
    std::string folder_;
    pid_t pid_ = -1;
};

}   // namespace postcot
