// Dovecot's authentication protocol, both sides: lines of TAB-separated fields. What a field says is bytes; TAB, LF,
// CR, NUL and \001 inside it are written as \001 and one more character. Pure: bytes in, typed values out.
//
// Client side (Postfix, login processes; sockets auth-client, login/login, private/auth), protocol 1.2:
//   S: VERSION 1 2 / MECH name [flags] ... / SPID pid / CUID n / COOKIE hex / DONE         C: VERSION 1 2 / CPID pid
//   C: AUTH id mechanism service=... [parameters] [resp=base64]      C: CONT id base64      C: CANCEL id
//   S: OK id [user=...] [fields]      S: CONT id base64      S: FAIL id [user=...] [reason=...] [temp] [authz]
//   [code=...]
// Master side (auth-master, auth-userdb), protocol 1.1:
//   S: VERSION 1 1 / SPID pid         C: VERSION 1 1
//   C: REQUEST id client-pid client-request-id cookie [parameters]      S: USER id user [fields] | NOTFOUND id | FAIL
//   id [reason=...] C: USER id user service=...                                         S: the same C: PASS id user
//   service=...                                         S: PASS id [fields] | NOTFOUND id | FAIL id C: LIST id
//   [user=mask] service=...                                  S: LIST id user ... DONE id [fail] C: CACHE-FLUSH id [user
//   ...]                                        S: OK id count
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/error.h"

namespace postcot::sasl {

inline constexpr size_t kMaxAuthLine =
    8192;   // Dovecot's AUTH_CLIENT_MAX_LINE_LENGTH: also bounds a SASL response (about 6100 octets)
inline constexpr size_t kMaxAuthFields = 256;
inline constexpr unsigned kProtocolMajor = 1;
inline constexpr unsigned kClientMinor = 2;
inline constexpr unsigned kMasterMinor = 1;

std::string tab_escape(std::string_view raw);
std::string tab_unescape(
    std::string_view escaped);   // total: a \001 with an unknown or no follower gives that follower alone

// "name=value", or a bare "name".
struct Field {
    std::string name;
    std::optional<std::string> value;
    bool operator==(const Field&) const = default;
};

class Fields {
  public:
    void add(std::string name) { list_.push_back({std::move(name), std::nullopt}); }
    void add(std::string name, std::string value) { list_.push_back({std::move(name), std::move(value)}); }
    void set(std::string_view name, std::string value);   // replaces the first of that name
    void remove(std::string_view name);
    bool has(std::string_view name) const;
    std::string get(std::string_view name) const;   // empty when absent or bare
    const std::vector<Field>& all() const { return list_; }
    bool empty() const { return list_.empty(); }
    void append_to(std::string& line) const;   // TAB name[=value], escaped
    bool operator==(const Fields&) const = default;

  private:
    std::vector<Field> list_;
};

// What a server offers: MECH lines. The flags are Dovecot's MECH_SEC_*.
struct Mechanism {
    std::string name;   // upper case
    bool plaintext = false;
    bool dictionary = false;
    bool active = false;
    bool anonymous = false;
    bool forward_secrecy = false;
    bool mutual_auth = false;
    bool is_private = false;   // not to be announced
};

// ---- client connection ----

struct ServerGreeting {   // all up to DONE
    std::vector<Mechanism> mechanisms;
    uint32_t server_pid = 0;
    uint32_t connection_id = 0;   // CUID
    std::string cookie;           // 32 hex digits
};

struct AuthCommand {
    uint32_t id = 0;
    std::string mechanism;
    Fields parameters;                     // without resp
    std::optional<std::string> response;   // decoded; "resp=" with nothing (or "=") is an empty response
    bool bad_base64 = false;               // resp was there but is not base64: answered with FAIL code=invalid_base64
};
struct ContinueCommand {
    uint32_t id = 0;
    std::string response;
    bool bad_base64 = false;
};
struct CancelCommand {
    uint32_t id = 0;
};

struct ClientLine {
    enum class Kind { kVersion, kPid, kAuth, kContinue, kCancel } kind = Kind::kVersion;
    unsigned major = 0, minor = 0;   // kVersion
    uint32_t pid = 0;                // kPid
    AuthCommand auth;
    ContinueCommand cont;
    CancelCommand cancel;
};
// A line (no LF) from a client. Errors: what a server logs before it hangs up.
Expected<ClientLine> parse_client_line(std::string_view line);

struct ServerLine {
    enum class Kind {
        kVersion,
        kMechanism,
        kServerPid,
        kConnectionId,
        kCookie,
        kDone,
        kOk,
        kContinue,
        kFail,
        kOther
    } kind = Kind::kOther;
    unsigned major = 0, minor = 0;
    Mechanism mechanism;
    uint32_t number = 0;   // SPID, CUID
    std::string cookie;
    uint32_t id = 0;         // OK, CONT, FAIL
    std::string challenge;   // CONT, decoded
    Fields fields;           // OK, FAIL
};
Expected<ServerLine> parse_server_line(std::string_view line);

// Writers give the whole line with its LF.
std::string write_server_greeting(const ServerGreeting& greeting);
std::string write_client_greeting(uint32_t client_pid);
std::string write_auth(const AuthCommand& command);
std::string write_continue(uint32_t id, std::string_view bytes);   // either side: CONT id base64
std::string write_cancel(uint32_t id);
std::string write_ok(uint32_t id, const Fields& fields);
std::string write_fail(uint32_t id, const Fields& fields);

// ---- master connection ----

struct MasterLine {
    enum class Kind { kVersion, kRequest, kUser, kPass, kList, kCacheFlush, kPid } kind = Kind::kVersion;
    unsigned major = 0, minor = 0;
    uint32_t id = 0;
    uint32_t client_pid = 0;          // REQUEST; kPid
    uint32_t client_request_id = 0;   // REQUEST
    std::string cookie;               // REQUEST
    std::string user;                 // USER, PASS
    std::vector<std::string> users;   // CACHE-FLUSH
    Fields parameters;
};
Expected<MasterLine> parse_master_line(std::string_view line);

struct MasterReply {
    enum class Kind {
        kVersion,
        kServerPid,
        kUser,
        kPass,
        kNotFound,
        kFail,
        kList,
        kDone,
        kOk,
        kOther
    } kind = Kind::kOther;
    unsigned major = 0, minor = 0;
    uint32_t number = 0;   // SPID
    uint32_t id = 0;
    std::string user;     // USER, LIST
    Fields fields;        // USER, PASS, FAIL; DONE has "fail" when the list is not whole
    uint32_t count = 0;   // OK of CACHE-FLUSH
};
Expected<MasterReply> parse_master_reply(std::string_view line);

std::string write_master_greeting(uint32_t server_pid);
std::string write_master_client_greeting();
std::string write_request(uint32_t id, uint32_t client_pid, uint32_t client_request_id, std::string_view cookie,
                          const Fields& parameters);
std::string write_user_lookup(std::string_view command, uint32_t id, std::string_view user,
                              const Fields& parameters);   // USER, PASS
std::string write_list(uint32_t id, const Fields& parameters);
std::string write_user_reply(uint32_t id, std::string_view user, const Fields& fields);
std::string write_pass_reply(uint32_t id, const Fields& fields);
std::string write_not_found(uint32_t id);

}   // namespace postcot::sasl
