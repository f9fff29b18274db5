#include "queued/hand_back_process.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "libproto/runtime/log.h"
#include "libproto/runtime/loop.h"
#include "libproto/runtime/sandbox.h"
#include "queued/intake/pickup.h"
#include "queued/manager/manager.h"
#include "queued/postfix_queue/hand_back.h"
#include "queued/postfix_queue/import.h"
#include "queued/spool_folders.h"
#include "queued/store/store.h"

namespace postcot::queued {

namespace {

constexpr int kLockPatience = 3;   // seconds: a manager that was just told to stop
constexpr int kFailed = 1;
constexpr int kTryAgain = 75;

int complain(const std::string& text) {
    std::fprintf(stderr, "queued: fatal: %s\n", text.c_str());
    return kFailed;
}

// A folder for mail_owner, below whatever root may read: it is opened now and written to later.
Expected<UniqueFd> open_folder(const std::string& path, const SpoolAccounts& accounts) {
    if (::mkdir(path.c_str(), 0700) != 0) {
        if (errno != EEXIST) return fail_errno(errno, "create " + path);
    } else if (accounts.root && ::chown(path.c_str(), accounts.owner.uid, accounts.owner.gid) != 0) {
        return fail_errno(errno, "chown " + path);
    }
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) return fail_errno(errno, "open " + path);
    struct stat st {};
    if (::fstat(fd.get(), &st) != 0) return fail_errno(errno, "stat " + path);
    if (accounts.root && st.st_uid != accounts.owner.uid)
        return fail(EEXIST, path + ": this folder is there already and belongs to somebody else; name a new one");
    return fd;
}

Task<int> work(Store& store, std::unique_ptr<ManagerConfig> config, HandBackSettings settings,
               const HandBackRequest& request, std::string folder) {
    Scope writer;
    writer.spawn(store.commits().run());
    Scope scope;
    QueueManager manager(store, std::move(config), scope);
    manager.deliver_nothing();
    PostfixImport import(store, settings.directory, settings.ident, PostfixImport::hooks_of(manager));
    import.recover();
    HandBack hand_back(store, settings);
    Expected<uint64_t> count = 0;
    if (auto recovered = co_await hand_back.recover(); !recovered) count = fail(recovered.error());
    if (count) {
        // What sendmail(1) left while queued was down: Postfix does not read these files.
        Pickup pickup(manager, scope, UniqueFd());
        co_await pickup.drain();
        if (request.folder.empty()) {
            count = co_await hand_back.to_postfix();
        } else {
            count = co_await hand_back.to_folder(folder, request.keep);
        }
    }
    scope.cancel();
    co_await scope.join();
    store.commits().stop();
    co_await writer.join();
    manager.checkpoint();
    if (!count) co_return complain(count.error().text);
    if (request.folder.empty()) {
        std::printf("%llu messages handed back to Postfix's queue in %s\n", static_cast<unsigned long long>(*count),
                    settings.directory.c_str());
    } else {
        std::printf("%llu messages %s %s\n", static_cast<unsigned long long>(*count),
                    request.keep ? "copied to" : "moved to", request.folder.c_str());
    }
    co_return 0;
}

}   // namespace

int run_hand_back(Configuration configuration, const HandBackRequest& request) {
    const config::MainCf& main = configuration.main;
    auto accounts = SpoolAccounts::find(main);
    if (!accounts) return complain(accounts.error().text);
    const std::string queue_directory = main.str("queue_directory");
    if (auto made = prepare_folders(queue_directory, *accounts, true); !made) return complain(made.error().text);
    UniqueFd target;
    std::string folder;
    if (!request.folder.empty()) {
        auto opened = open_folder(request.folder, *accounts);
        if (!opened) return complain(opened.error().text);
        target = std::move(*opened);
        folder = "/proc/self/fd/" + std::to_string(target.get());
    }
    HandBackSettings settings;
    settings.directory = queue_directory;
    settings.ident = main.str("syslog_name") + "/qmgr";
    settings.long_queue_ids = main.boolean("enable_long_queue_ids");
    settings.hash_depth = static_cast<size_t>(std::max<int64_t>(main.integer("hash_queue_depth"), 1));
    settings.hash_names.clear();
    for (const auto& name : main.list("hash_queue_names")) settings.hash_names.insert(name);
    settings.delay_warning = main.time("delay_warning_time").count();

    auto config = ManagerConfig::load(main, configuration.master);
    if (!config) return complain(config.error().text);
    Sandbox sandbox;
    if (accounts->root) sandbox.account = &accounts->owner;
    if (auto entered = enter_sandbox(sandbox); !entered) return complain("sandbox: " + entered.error().text);
    ::umask(077);
    auto lock = lock_queue(queue_directory, kLockPatience);
    if (!lock) {
        complain(lock.error().text + ": stop queued first");
        return kTryAgain;
    }
    Loop loop;
    StoreOptions options;
    options.directory = queue_directory;
    Store store(Files::disk(), options);
    if (auto opened = store.open(); !opened) return complain("queue: " + opened.error().text);
    return loop.run_until_complete(work(store, std::move(*config), std::move(settings), request, std::move(folder)));
}

}   // namespace postcot::queued
