#include "smtpd/host_names.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>

#include <chrono>
#include <cstring>
#include <map>

#include "libproto/runtime/loop.h"
#include "libproto/runtime/loop_inl.h"
#include "libproto/smtp/idna.h"
#include "libproto/smtp/path.h"
#include "libproto/smtp/text.h"

namespace postcot::smtpd {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kRemember = std::chrono::seconds(60);
constexpr size_t kMaxRemembered = 4096;

struct ClientNames {
    std::string name = "unknown";
    std::string reverse_name = "unknown";
    Lookup name_status = Lookup::kPermanent;
    Lookup reverse_status = Lookup::kPermanent;
};

Lookup status_of(int gai_error) { return gai_error == EAI_AGAIN ? Lookup::kTemporary : Lookup::kPermanent; }

// Runs on the pool.
ClientNames look_up_client(const std::string& address) {
    ClientNames out;
    sockaddr_storage storage{};
    socklen_t length = 0;
    auto* four = reinterpret_cast<sockaddr_in*>(&storage);
    auto* six = reinterpret_cast<sockaddr_in6*>(&storage);
    if (inet_pton(AF_INET, address.c_str(), &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        length = sizeof *four;
    } else if (inet_pton(AF_INET6, address.c_str(), &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        length = sizeof *six;
    } else {
        return out;
    }
    char host[NI_MAXHOST];
    const int rc =
        getnameinfo(reinterpret_cast<sockaddr*>(&storage), length, host, sizeof host, nullptr, 0, NI_NAMEREQD);
    if (rc != 0) {
        out.name_status = out.reverse_status = status_of(rc);
        return out;
    }
    if (!smtp::is_valid_hostname(host) || smtp::is_ipv4(host)) return out;   // a PTR record can say anything
    out.reverse_name = host;
    out.reverse_status = Lookup::kOk;
    addrinfo hints{};
    hints.ai_family = storage.ss_family;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    const int forward = getaddrinfo(host, nullptr, &hints, &list);
    if (forward != 0) {
        out.name_status = status_of(forward);
        return out;
    }
    for (auto* i = list; i; i = i->ai_next) {
        const bool same = storage.ss_family == AF_INET
                              ? std::memcmp(&reinterpret_cast<sockaddr_in*>(i->ai_addr)->sin_addr, &four->sin_addr,
                                            sizeof(in_addr)) == 0
                              : std::memcmp(&reinterpret_cast<sockaddr_in6*>(i->ai_addr)->sin6_addr, &six->sin6_addr,
                                            sizeof(in6_addr)) == 0;
        if (same) {
            out.name = host;
            out.name_status = Lookup::kOk;
            break;
        }
    }
    freeaddrinfo(list);
    return out;
}

// One resolver state a thread. kOk: there is such a record.
Lookup query(const std::string& name, int type, bool* null_mx) {
    struct __res_state state {};
    if (res_ninit(&state) != 0) return Lookup::kTemporary;
    unsigned char answer[NS_PACKETSZ * 8];
    const int n = res_nquery(&state, name.c_str(), ns_c_in, type, answer, sizeof answer);
    const int h_error = state.res_h_errno;
    res_nclose(&state);
    if (n < 0) return h_error == TRY_AGAIN ? Lookup::kTemporary : Lookup::kPermanent;
    ns_msg message;
    if (ns_initparse(answer, std::min(n, static_cast<int>(sizeof answer)), &message) != 0) return Lookup::kTemporary;
    bool found = false;
    for (int i = 0; i < ns_msg_count(message, ns_s_an); ++i) {
        ns_rr record;
        if (ns_parserr(&message, ns_s_an, i, &record) != 0) break;
        if (ns_rr_type(record) != type) continue;
        found = true;
        // RFC 7505: "MX 0 ." says that the domain takes no mail.
        if (type == ns_t_mx && null_mx && ns_rr_rdlen(record) == 3 && ns_rr_rdata(record)[2] == 0) *null_mx = true;
    }
    return found ? Lookup::kOk : Lookup::kPermanent;
}

Lookup look_up_address(const std::string& name) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    const int rc = getaddrinfo(name.c_str(), nullptr, &hints, &list);
    if (rc == 0) {
        freeaddrinfo(list);
        return Lookup::kOk;
    }
    return status_of(rc);
}

Lookup look_up_mail_domain(const std::string& name) {
    bool null_mx = false;
    const auto mx = query(name, ns_t_mx, &null_mx);
    if (null_mx) return Lookup::kPermanent;
    if (mx == Lookup::kOk) return mx;
    const auto address = look_up_address(name);
    if (address == Lookup::kOk) return address;
    return mx == Lookup::kTemporary ? mx : address;
}

}   // namespace

struct HostNames::Impl {
    template <class T>
    struct Remembered {
        T value{};
        Clock::time_point until;
    };
    template <class T>
    static const T* recall(const std::map<std::string, Remembered<T>>& cache, const std::string& key) {
        auto at = cache.find(key);
        return at != cache.end() && at->second.until > Clock::now() ? &at->second.value : nullptr;
    }
    template <class T>
    static void remember(std::map<std::string, Remembered<T>>& cache, const std::string& key, T value) {
        if (cache.size() >= kMaxRemembered) cache.clear();
        cache[key] = {std::move(value), Clock::now() + kRemember};
    }

    std::map<std::string, Remembered<ClientNames>> clients;
    std::map<std::string, Remembered<Lookup>> domains, hosts;
};

HostNames::HostNames() : impl_(std::make_unique<Impl>()) {}
HostNames::~HostNames() = default;

Task<void> HostNames::find_client_name(Client& client) {
    const auto* known = Impl::recall(impl_->clients, client.address);
    ClientNames names;
    if (known) {
        names = *known;
    } else {
        const std::string address = client.address;
        auto look_up = [address] { return look_up_client(address); };
        names = co_await blocking(look_up);
        if (names.name_status != Lookup::kTemporary) Impl::remember(impl_->clients, address, names);
    }
    client.name = names.name;
    client.reverse_name = names.reverse_name;
    client.name_status = names.name_status;
    client.reverse_status = names.reverse_status;
}

Task<Lookup> HostNames::mail_domain(std::string domain) {
    auto ascii = smtp::domain_to_ascii(domain);
    if (!ascii) co_return Lookup::kPermanent;
    if (const auto* known = Impl::recall(impl_->domains, *ascii)) co_return *known;
    const std::string name = *ascii;
    auto look_up = [name] { return look_up_mail_domain(name); };
    const auto found = co_await blocking(look_up);
    if (found != Lookup::kTemporary) Impl::remember(impl_->domains, name, found);
    co_return found;
}

Task<Lookup> HostNames::host(std::string host_name) {
    auto ascii = smtp::domain_to_ascii(host_name);
    if (!ascii) co_return Lookup::kPermanent;
    if (const auto* known = Impl::recall(impl_->hosts, *ascii)) co_return *known;
    const std::string name = *ascii;
    auto look_up = [name] {
        const auto address = look_up_address(name);
        return address == Lookup::kOk ? address : query(name, ns_t_mx, nullptr);
    };
    const auto found = co_await blocking(look_up);
    if (found != Lookup::kTemporary) Impl::remember(impl_->hosts, name, found);
    co_return found;
}

}   // namespace postcot::smtpd
