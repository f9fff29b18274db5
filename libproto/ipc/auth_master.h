// The master and userdb sides of Dovecot's auth protocol: who a logged-in user is on this host. Used by imapd's and
// pop3d's parents (after a front's login), by delivery, and by doveadm. Sockets: base_dir/auth-master (all) and
// base_dir/auth-userdb (no REQUEST).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libproto/error.h"
#include "libproto/runtime/loop.h"
#include "libproto/sasl/auth_protocol.h"

namespace postcot::ipc {

struct UserReply {
    enum class Kind { kFound, kNotFound, kFail } kind = Kind::kFail;
    std::string user;
    std::optional<uint32_t> uid, gid;   // numeric; absent when the userdb gives none
    std::string home, mail;
    sasl::Fields fields;      // all of them: uid, gid, home, mail, quota_rule, auth_mech, auth_token ... PASS: password
                              // excluded by authd
    bool temporary = false;   // kFail
    std::string reason;       // kFail
};

struct UserLookup {
    std::string user;
    std::string service = "doveadm";   // "imap", "lmtp", "doveadm" ...
    std::string local_address, remote_address;
    sasl::Fields extra;
};

class AuthMaster {
  public:
    // As AuthClient: the reader lives in `scope`; connects at first use, and again after a loss.
    AuthMaster(Scope& scope, std::string path);
    ~AuthMaster();

    // A front's successful AUTH (AuthReply::client_pid, request_id, cookie), once each. kFail when authd does not know
    // it (restarted, used, expired).
    Task<Expected<UserReply>> request(uint32_t client_pid, uint32_t client_request_id, std::string cookie,
                                      Millis timeout = Millis(30000));
    Task<Expected<UserReply>> user(UserLookup lookup, Millis timeout = Millis(30000));   // userdb
    Task<Expected<UserReply>> passdb(UserLookup lookup,
                                     Millis timeout = Millis(30000));   // passdb without a password check
    // All users that match the mask ("*": all). An error when a userdb cannot list.
    Task<Expected<std::vector<std::string>>> list(std::string mask, Millis timeout = Millis(60000));
    Task<Expected<uint32_t>> cache_flush(std::vector<std::string> users,
                                         Millis timeout = Millis(30000));   // empty: all

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}   // namespace postcot::ipc
