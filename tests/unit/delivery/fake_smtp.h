// A scripted SMTP or LMTP server on 127.0.0.1, one thread for each connection. Start it after the agent has been forked.
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace postcot {

class FakeSmtp {
  public:
    // Replies by the longest matching beginning of the command line; "" closes the connection instead. "GREETING" and "." are commands too.
    std::map<std::string, std::string> replies = {
        {"GREETING", "220 fake.example ESMTP"},
        {"EHLO",
         "250-fake.example\r\n250-PIPELINING\r\n250-SIZE "
         "1000000\r\n250-8BITMIME\r\n250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n250 SMTPUTF8"},
        {"LHLO", "250-fake.example\r\n250 PIPELINING"},
        {"HELO", "250 fake.example"},
        {"MAIL", "250 2.1.0 Ok"},
        {"RCPT", "250 2.1.5 Ok"},
        {"DATA", "354 go ahead"},
        {".", "250 2.0.0 Ok: queued as FAKE1"},
        {"RSET", "250 2.0.0 Ok"},
        {"QUIT", "221 2.0.0 Bye"},
        {"AUTH", "235 2.7.0 welcome"},
    };
    bool lmtp = false;
    int patience_seconds = 10;

    void start() {
        fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address);
        listen(fd_, 50);
        socklen_t length = sizeof address;
        getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length);
        port_ = ntohs(address.sin_port);
        acceptor_ = std::thread([this] {
            for (;;) {
                int fd = accept(fd_, nullptr, nullptr);
                if (fd < 0) return;
                ++connections;
                std::lock_guard lock(mutex_);
                threads_.emplace_back([this, fd] {
                    serve(fd);
                    close(fd);
                });
            }
        });
    }
    ~FakeSmtp() {
        shutdown(fd_, SHUT_RDWR);
        close(fd_);
        if (acceptor_.joinable()) acceptor_.join();
        for (auto& thread : threads_) thread.join();
    }
    std::string nexthop() const { return "[127.0.0.1]:" + std::to_string(port_); }
    std::string log() {
        std::lock_guard lock(mutex_);
        return log_;
    }
    std::string data() {
        std::lock_guard lock(mutex_);
        return data_;
    }
    std::atomic<int> connections{0};

  private:
    const std::string& reply_to(const std::string& line) {
        static const std::string kUnknown = "500 5.5.2 what";
        const std::string* best = &kUnknown;
        size_t length = 0;
        for (const auto& [beginning, reply] : replies) {
            if (beginning.size() < length || line.compare(0, beginning.size(), beginning) != 0) continue;
            best = &reply;
            length = beginning.size();
        }
        return *best;
    }
    bool say(int fd, const std::string& reply) {
        if (reply.empty()) return false;
        std::string out = reply + "\r\n";
        return send(fd, out.data(), out.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(out.size());
    }
    void serve(int fd) {
        timeval patience{patience_seconds, 0};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        std::string in;
        size_t accepted = 0;
        bool data = false;
        std::string text;
        if (!say(fd, reply_to("GREETING"))) return;
        for (;;) {
            size_t end;
            while ((end = in.find("\r\n")) == std::string::npos) {
                char buffer[65536];
                ssize_t n = recv(fd, buffer, sizeof buffer, 0);
                if (n <= 0) return;
                in.append(buffer, static_cast<size_t>(n));
            }
            std::string line = in.substr(0, end);
            in.erase(0, end + 2);
            if (data) {
                if (line != ".") {
                    text += line + "\r\n";
                    continue;
                }
                data = false;
                std::lock_guard lock(mutex_);
                data_ = text;
            } else {
                std::lock_guard lock(mutex_);
                log_ += line + "\n";
            }
            const std::string& reply = reply_to(line);
            size_t copies = lmtp && line == "." ? accepted : 1;
            for (size_t i = 0; i < copies; ++i)
                if (!say(fd, reply)) return;
            if (line.compare(0, 4, "RCPT") == 0 && reply[0] == '2') ++accepted;
            if (line.compare(0, 4, "MAIL") == 0) accepted = 0;
            if (line == "DATA" && reply[0] == '3') {
                data = true;
                text.clear();
            }
            if (line == "QUIT") return;
        }
    }

    int fd_ = -1;
    int port_ = 0;
    std::mutex mutex_;
    std::string log_, data_;
    std::thread acceptor_;
    std::vector<std::thread> threads_;
};

}   // namespace postcot
