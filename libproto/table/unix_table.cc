// unix:passwd.byname and unix:group.byname. Misses are cheap, an unreachable name service is a temporary error.
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <cerrno>

#include "libproto/table/tables.h"

namespace postcot::table {
namespace {

using Found = Expected<std::optional<std::string>>;

// Calls get(buffer, size) -> errno-style result until the buffer is large enough.
template <class Get>
int with_buffer(std::string& buffer, const Get& get) {
    buffer.resize(4096);
    for (;;) {
        int rc = get(buffer.data(), buffer.size());
        if (rc != ERANGE || buffer.size() >= (size_t{4} << 20)) return rc;
        buffer.resize(buffer.size() * 2);
    }
}

// "No such name" comes as 0 with no entry or, from some services, as one of these.
bool means_absent(int rc) { return rc == 0 || rc == ENOENT || rc == ESRCH || rc == EBADF || rc == EPERM; }

class PasswdTable final : public Table {
  public:
    Found lookup(std::string_view key) override {
        std::string name(key);
        std::string buffer;
        passwd entry{};
        passwd* found = nullptr;
        int rc = with_buffer(
            buffer, [&](char* data, size_t size) { return ::getpwnam_r(name.c_str(), &entry, data, size, &found); });
        if (!found) {
            if (means_absent(rc)) return std::nullopt;
            return fail_errno(rc, "unix:passwd.byname: " + name);
        }
        return std::string(found->pw_name) + ':' + found->pw_passwd + ':' + std::to_string(found->pw_uid) + ':' +
               std::to_string(found->pw_gid) + ':' + found->pw_gecos + ':' + found->pw_dir + ':' + found->pw_shell;
    }
};

class GroupTable final : public Table {
  public:
    Found lookup(std::string_view key) override {
        std::string name(key);
        std::string buffer;
        group entry{};
        group* found = nullptr;
        int rc = with_buffer(
            buffer, [&](char* data, size_t size) { return ::getgrnam_r(name.c_str(), &entry, data, size, &found); });
        if (!found) {
            if (means_absent(rc)) return std::nullopt;
            return fail_errno(rc, "unix:group.byname: " + name);
        }
        std::string out =
            std::string(found->gr_name) + ':' + found->gr_passwd + ':' + std::to_string(found->gr_gid) + ':';
        for (char** member = found->gr_mem; *member; ++member)
            out += (member == found->gr_mem ? "" : ",") + std::string(*member);
        return out;
    }
};

}   // namespace

Opened open_unix(std::string_view name) {
    if (name == "passwd.byname") return std::make_unique<PasswdTable>();
    if (name == "group.byname") return std::make_unique<GroupTable>();
    return fail(EINVAL, "unknown table: unix:" + std::string(name) + " (expected passwd.byname or group.byname)");
}

}   // namespace postcot::table
