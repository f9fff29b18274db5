// passdb and userdb passwd-file. A file is read again when its inode, size or mtime changed; a file that cannot be read fails the request as temporary.
#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "authd/drivers/drivers.h"
#include "authd/drivers/passwd_file_parser.h"
#include "libproto/config/variables.h"
#include "libproto/runtime/files.h"
#include "libproto/runtime/log.h"

namespace postcot::authd {

namespace {

constexpr size_t kMaxFiles = 1000;   // "/etc/mail/%d/passwd": one per domain
constexpr size_t kMaxFileSize = 256U << 20;

class PasswdFiles {
  public:
    explicit PasswdFiles(PasswdFileArgs args) : args_(std::move(args)) {}

    const PasswdFileArgs& args() const { return args_; }

    // The entry of the request's user; nullptr inside: none. The error was not logged yet.
    Task<Expected<std::shared_ptr<const PasswdFile>>> open(const Request& request) {
        auto path = request.expand(args_.path);
        if (!path) co_return fail(path.error());
        co_return co_await load(std::move(*path));
    }

    static const PasswdFileEntry* find(const PasswdFile& file, const std::string& user) {
        auto found = file.entries.find(user);
        return found == file.entries.end() ? nullptr : &found->second;
    }

  private:
    struct Loaded {
        struct stat status {};
        std::shared_ptr<const PasswdFile> file;   // shared: requests that read it outlive a reload
    };

    static bool same(const struct stat& a, const struct stat& b) {
        return a.st_ino == b.st_ino && a.st_dev == b.st_dev && a.st_size == b.st_size &&
               a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
    }

    Task<Expected<std::shared_ptr<const PasswdFile>>> load(std::string path) {
        struct stat status {};
        if (::stat(path.c_str(), &status) != 0) {
            // With a variable in the path a missing file is a domain that we do not have.
            if (errno == ENOENT && config::has_variables(args_.path)) co_return std::make_shared<const PasswdFile>();
            co_return fail_errno(errno, "stat(" + path + ") failed");
        }
        auto known = files_.find(path);
        if (known != files_.end() && same(known->second.status, status)) co_return known->second.file;
        auto read = [&path]() -> Expected<std::shared_ptr<const PasswdFile>> {
            auto text = read_file(Files::disk(), path, kMaxFileSize);
            if (!text) return fail(text.error());
            return std::make_shared<const PasswdFile>(parse_passwd_file(*text));
        };
        auto file = co_await blocking(read);
        if (!file) co_return fail(file.error().code, "open(" + path + ") failed: " + file.error().text);
        if (files_.size() >= kMaxFiles) files_.clear();
        Loaded loaded;
        loaded.status = status;
        loaded.file = *file;
        files_[path] = loaded;
        log::debug("passwd-file {}: Read {} users", path, loaded.file->order.size());
        co_return loaded.file;
    }

    PasswdFileArgs args_;
    std::map<std::string, Loaded> files_;
};

class PasswdFilePassDb final : public PassDb {
  public:
    PasswdFilePassDb(const Database& database, PasswdFileArgs args) : PassDb(database), files_(std::move(args)) {}

    Task<Result> verify(Request& request, std::string password) override {
        auto file = co_await files_.open(request);
        if (!file) {
            request.log_error(name(), file.error().text);
            co_return Result::kInternalFailure;
        }
        const PasswdFileEntry* entry = find(request, **file);
        if (!entry) co_return Result::kUserUnknown;
        // The password first: allow_nets and other fields are nobody's business without it.
        bool no_password = entry->extra.has("nopassword") && entry->password.empty();
        if (!no_password && !request.skip_password) {
            auto checked =
                co_await check_password(request, name(), std::move(password), entry->password, files_.args().scheme);
            if (checked != Result::kOk) co_return checked;
        }
        co_return add_fields(request, *entry) ? Result::kOk : Result::kMismatch;
    }

    Task<Result> lookup(Request& request) override {
        auto file = co_await files_.open(request);
        if (!file) {
            request.log_error(name(), file.error().text);
            co_return Result::kInternalFailure;
        }
        const PasswdFileEntry* entry = find(request, **file);
        if (!entry) co_return Result::kUserUnknown;
        co_return add_fields(request, *entry) ? Result::kOk : Result::kMismatch;
    }

  private:
    const PasswdFileEntry* find(Request& request, const PasswdFile& file) {
        auto wanted = request.expand(files_.args().username_format);
        const PasswdFileEntry* entry = wanted ? PasswdFiles::find(file, *wanted) : nullptr;
        if (!entry) request.log_verbose(name(), "unknown user");
        return entry;
    }
    bool add_fields(Request& request, const PasswdFileEntry& entry) {
        for (const auto& field : entry.extra.all()) {
            std::optional<std::string> value = field.value;
            if (value) {
                auto expanded = request.expand(*value);
                if (expanded) value = *expanded;
            }
            if (!request.add_passdb_field(name(), field.name, value)) return false;
        }
        return true;
    }

    PasswdFiles files_;
};

class PasswdFileUserDb final : public UserDb {
  public:
    PasswdFileUserDb(const Database& database, PasswdFileArgs args) : UserDb(database), files_(std::move(args)) {}

    Task<Result> lookup(Request& request, sasl::Fields& out) override {
        auto file = co_await files_.open(request);
        if (!file) {
            request.log_error(name(), file.error().text);
            co_return Result::kInternalFailure;
        }
        auto wanted = request.expand(files_.args().username_format);
        const PasswdFileEntry* entry = wanted ? PasswdFiles::find(**file, *wanted) : nullptr;
        if (!entry) {
            request.log_verbose(name(), "unknown user");
            co_return Result::kUserUnknown;
        }
        if (!entry->has_userdb) {
            request.log_error(name(), "User " + entry->user + " is missing userdb info");
            co_return Result::kUserUnknown;
        }
        if (!entry->uid.empty()) {
            auto resolve = [&entry] { return resolve_uid(entry->uid); };   // a name service may wait
            auto uid = co_await blocking(resolve);
            if (!uid) {
                request.log_error(name(), "User " + entry->user + " has invalid UID '" + entry->uid + "'");
                co_return Result::kUserUnknown;
            }
            out.set("uid", *uid);
        }
        if (!entry->gid.empty()) {
            auto resolve = [&entry] { return resolve_gid(entry->gid); };
            auto gid = co_await blocking(resolve);
            if (!gid) {
                request.log_error(name(), "User " + entry->user + " has invalid GID '" + entry->gid + "'");
                co_return Result::kUserUnknown;
            }
            out.set("gid", *gid);
        }
        if (!entry->home.empty()) out.set("home", entry->home);
        for (const auto& field : entry->extra.all()) {
            if (field.name.rfind("userdb_", 0) != 0) continue;
            std::string value = field.value.value_or(std::string());
            auto expanded = request.expand(value);
            out.set(field.name.substr(7), expanded ? *expanded : value);
        }
        co_return Result::kOk;
    }

    Task<Expected<std::vector<std::string>>> list(const Request& request) override {
        if (config::has_variables(files_.args().path)) {
            co_return fail(ENOTSUP, "passwd-file: User iteration isn't currently supported with %variable paths");
        }
        auto file = co_await files_.open(request);
        if (!file) co_return fail(file.error());
        co_return (*file)->order;
    }

  private:
    PasswdFiles files_;
};

}   // namespace

Expected<std::unique_ptr<PassDb>> open_passwd_file_passdb(const Database& database) {
    auto args = parse_passwd_file_args(database.args);
    if (!args) return fail(0, database.where + ": " + args.error().text);
    return std::make_unique<PasswdFilePassDb>(database, std::move(*args));
}

Expected<std::unique_ptr<UserDb>> open_passwd_file_userdb(const Database& database) {
    auto args = parse_passwd_file_args(database.args);
    if (!args) return fail(0, database.where + ": " + args.error().text);
    return std::make_unique<PasswdFileUserDb>(database, std::move(*args));
}

}   // namespace postcot::authd
